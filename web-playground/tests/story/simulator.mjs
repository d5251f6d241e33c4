// The whole story of the simulator: two browsers, two visitors, one person.

import { eventually, expectText, openScreen } from './support.mjs'

const known = (page) => page.getByRole('region', { name: 'What the platform knows' })

export async function browsesAnonymously(page) {
  await openScreen(page, 'Simulator')
  const [laptop, phone] = [page.getByRole('region', { name: 'Laptop' }), page.getByRole('region', { name: 'Phone' })]
  const cookies = await Promise.all([laptop, phone].map((browser) => browser.locator('.browser-cookie code').textContent()))
  if (cookies[0] === cookies[1]) throw new Error('both browsers have one cookie')
  await laptop.getByRole('button', { name: 'Match football' }).click()
  await known(page).getByText('one person').waitFor()
  await phone.getByRole('button', { name: 'Gaming headset' }).click()
  await known(page).getByText('two people').waitFor()
  const people = known(page).getByRole('article')
  await eventually('there are two profiles', () => people.count(), (count) => count === 2)
  await expectText(known(page), 'football')
  await expectText(known(page), 'esports')
}

export async function becomesOnePerson(page) {
  const [laptop, phone] = [page.getByRole('region', { name: 'Laptop' }), page.getByRole('region', { name: 'Phone' })]
  await laptop.getByRole('button', { name: 'Log in' }).click()
  await laptop.getByText(/^logged in as/).waitFor()
  const email = await laptop.locator('.shop-head strong').nth(1).textContent()
  await phone.getByRole('textbox', { name: 'Email in Phone' }).fill(email)
  await phone.getByRole('button', { name: 'Log in' }).click()
  await page.getByText(/are one person: the platform just merged them/).waitFor()
  await known(page).getByText('one person').waitFor()
  const nodes = known(page).getByRole('img')
  await eventually('two cookies and an address are drawn', () => nodes.count(), (count) => count === 3)
  const one = known(page).getByRole('article')
  for (const interest of ['football', 'esports', 'Sports', 'Gaming']) await expectText(one, interest)
}

/** The same by itself, for whoever only wants to watch. */
export async function playsByItself(page) {
  await page.getByRole('button', { name: 'Play it for me' }).click()
  await page.getByRole('button', { name: 'Playing…' }).waitFor()
  await page.getByText(/are one person: the platform just merged them/).waitFor({ timeout: 40_000 })
  await page.getByRole('button', { name: 'Play it for me' }).waitFor({ timeout: 40_000 })
  await known(page).getByText('one person').waitFor()
  await known(page).getByRole('article').getByRole('link', { name: /^robin\./ }).click()
  await page.getByRole('article', { name: 'Identity graph' }).getByText('1 merge').waitFor()
}
