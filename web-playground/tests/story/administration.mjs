// What administrators look after: users, keys, and who did what.

import { eventually, expectText, openScreen, RUN } from './support.mjs'

export async function looksAfterUsers(page) {
  const name = `ann-${RUN}`
  await openScreen(page, 'Administration')
  const users = page.getByRole('region', { name: 'Users', exact: true })
  await users.getByRole('button', { name: 'New user' }).click()
  const form = users.getByRole('form', { name: 'New user' })
  await form.getByLabel('Name').fill(name)
  await form.getByLabel('Role').selectOption('analyst')
  await form.getByLabel(/^Password/).fill('a long enough one')
  if ((await form.locator('.asked').textContent())?.includes('a long enough one')) throw new Error('the password is shown')
  await form.getByRole('button', { name: 'Add them' }).click()
  const row = users.getByRole('row').filter({ hasText: name })
  await row.getByRole('button', { name: 'Disable' }).click()
  await row.getByText('disabled').waitFor()
  await row.getByRole('button', { name, exact: true }).click()
  await page.getByRole('region', { name: 'Sessions' }).getByText('Not logged in').waitFor()
  await row.getByRole('button', { name: 'Remove…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await row.waitFor({ state: 'detached' })
  const log = page.getByRole('region', { name: 'Audit log', exact: true })
  await log.getByLabel('What').fill('deleteUser')
  await log.getByRole('row').filter({ hasText: 'deleteUser' }).filter({ hasText: 'admin' }).first().waitFor()
  await log.getByLabel('What').fill('')
}

export async function makesKey(page) {
  await openScreen(page, 'Administration')
  const keys = page.getByRole('region', { name: 'Write keys', exact: true })
  await keys.getByRole('button', { name: 'New key' }).click()
  const form = keys.getByRole('form', { name: 'New key' })
  const source = `site-${RUN}`
  await form.getByLabel(/^Source/).fill(source)
  await form.getByLabel(/^Websites/).fill('https://shop.example/')
  await form.getByRole('button', { name: 'Make it' }).click()
  await keys.getByText(/^cdp_pk_/).first().waitFor()
  const row = keys.getByRole('row').filter({ hasText: source })
  await eventually('the key is listed', () => row.count(), (count) => count === 1)
  await expectText(row, 'https://shop.example')
  await row.getByRole('button', { name: /^Revoke/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke it' }).click()
  await row.getByText('revoked').waitFor()
}
