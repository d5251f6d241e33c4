// Forgetting somebody, and who did what.

import { BASE_URL } from '../../story/support.mjs'

const EMAIL = 'ines.rocha@example.com'

export async function tell(stage) {
  const { page } = stage
  await page.goto(`${BASE_URL}/#/people?email=${encodeURIComponent(EMAIL)}`)
  await page.getByRole('heading', { name: EMAIL }).waitFor()
  await stage.top()
  await stage.say('“Please forget me.” An admin erases a person for good, after having typed who it is.')
  await stage.click(page.getByRole('button', { name: 'Erase…' }))
  const dialog = page.getByRole('dialog', { name: 'Erase this person?' })
  await stage.fill(dialog.getByLabel(/^Type the address/), EMAIL, 1)
  await stage.click(dialog.getByRole('button', { name: 'Erase for good' }))
  const told = page.getByRole('dialog', { name: 'They are erased' })
  await told.getByText('Nothing is left that can be read').waitFor()
  await stage.live(0.3)
  await stage.say('Records, profile, cookies, addresses, search and log: all of it is gone, and it is counted what was.')
  await stage.read()
  await stage.click(told.getByRole('button', { name: 'Close' }))
  await seesAuditLog(stage)
  await seesAsViewer(stage)
}

async function seesAuditLog(stage) {
  const { page } = stage
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Administration' }))
  const log = page.getByRole('region', { name: 'Audit log', exact: true })
  await log.getByText('eraseUser').first().waitFor()
  await stage.top()
  await stage.live(0.3)
  await stage.say('Administrators look after users, sessions and keys. And whatever anybody looked at or changed stands in the audit log.')
  await stage.bring(log, { always: true })
  await stage.hold(1)
}

/** Who need not know does not see. */
async function seesAsViewer(stage) {
  const { page } = stage
  await stage.read()
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'People' }))
  await stage.click(page.getByRole('button', { name: 'Log out' }))
  await stage.say('And not everybody sees everything. Who logs in as a viewer…')
  await stage.fill(page.getByLabel('Username'), 'viewer', 1)
  await stage.fill(page.getByLabel('Password'), 'demo-viewer', 1)
  await stage.click(page.getByRole('button', { name: 'Log in' }))
  await page.getByRole('region', { name: 'Found people' }).getByRole('link', { name: /\*\*\*@/ }).first().waitFor()
  await stage.top()
  await stage.live(0.4)
  await stage.say('…sees the outline of addresses and cookies, and no more.')
  await stage.show(page.getByRole('region', { name: 'Found people' }))
}
