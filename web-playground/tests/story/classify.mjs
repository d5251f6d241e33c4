// The classifier: what it says, why, a map of what people like, and a correction.

import { expectText, LONG_MS, openScreen, RUN } from './support.mjs'

const answer = (page, text) => page.getByRole('article').filter({ has: page.getByRole('heading', { name: new RegExp(`^${text}`) }) })

async function ask(page, text) {
  await openScreen(page, 'Classify')
  await page.getByLabel('Interests, one on each line').fill(text)
  await page.getByRole('button', { name: 'Classify' }).click()
}

export async function classifies(page) {
  await ask(page, 'nike shoes\ncrcket\nasdf')
  await answer(page, 'nike shoes').locator('.badge').getByText('Fashion').waitFor()
  await answer(page, 'nike shoes').getByRole('list', { name: 'Examples nearest to nike shoes' }).waitFor()
  await expectText(answer(page, 'crcket'), 'read as “cricket”')
  await answer(page, 'crcket').getByRole('list', { name: /^Neighbours of/ }).getByRole('link', { name: 'football' }).waitFor()
}

export async function drawsMap(page) {
  await openScreen(page, 'Classify')
  const map = page.getByRole('region', { name: 'Map of interests' })
  await map.getByRole('button', { name: 'Draw the map' }).click()
  await map.getByRole('button', { name: /^football, Sports/ }).waitFor({ timeout: LONG_MS })
  await map.getByRole('button', { name: /^football, Sports/ }).press('Enter')
  await answer(page, 'football').locator('.badge').getByText('Sports').waitFor()
}

export async function corrects(page) {
  const text = `wombat ${RUN}`
  await ask(page, text)
  const one = answer(page, text)
  await one.getByText('Correct it').click()
  for (const box of await one.getByRole('checkbox', { checked: true }).all()) await box.uncheck()
  await one.getByLabel('Gaming').check()
  await one.getByRole('button', { name: 'Save the correction' }).click()
  await one.getByText(/^Saved\./).waitFor()
  await page.getByRole('button', { name: 'Classify' }).click()
  await answer(page, text).locator('.badge').getByText('Gaming').waitFor()
  const made = page.getByRole('region', { name: 'Corrections' }).getByRole('listitem').filter({ hasText: text })
  await made.getByRole('button', { name: 'Withdraw' }).click()
  await made.waitFor({ state: 'detached' })
  await ask(page, 'nike shoes\ncrcket')
  await answer(page, 'nike shoes').waitFor()
}
