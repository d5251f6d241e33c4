// Finding people, and what is known of one.

import { BASE_URL, eventually, expectText, LONG_MS, openPerson, openScreen, picture, RUN, sendRecords } from './support.mjs'

const profile = (page) => page.getByRole('region', { name: 'Profile' })

export async function looksUpJohn(page) {
  await page.getByRole('link', { name: 'Look up john.smith@example.com' }).click()
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
  await page.getByRole('list', { name: 'Cohorts of this person' }).getByRole('link', { name: 'Sports', exact: true }).waitFor()
  await expectText(profile(page), 'Brooklyn')
  // The cookie finds the same person.
  await openPerson(page, 'cookie', 'dk5h2p9s7f3j8m1n4v0x')
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
}

export async function seesWhereValuesComeFrom(page) {
  const city = profile(page).getByRole('button', { name: 'Brooklyn', exact: true })
  await city.hover()
  await page.getByRole('tooltip').getByText('under the cookie').waitFor()
  await page.mouse.move(0, 0)
  await page.getByRole('tooltip').waitFor({ state: 'detached' })
  // The keyboard gets there as well, closes it, and opens the record.
  await city.focus()
  await page.getByRole('tooltip').waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('tooltip').waitFor({ state: 'detached' })
  await page.keyboard.press('Enter')
  const record = page.getByRole('dialog', { name: /Brooklyn/ })
  await record.getByText('"cookie": "dk5h2p9s7f3j8m1n4v0x"').waitFor()
  await page.keyboard.press('Escape')
  await record.waitFor({ state: 'detached' })
}

export async function seesGraphAndTimeline(page) {
  const graph = profile(page).getByRole('article', { name: 'Identity graph' })
  await graph.getByRole('img', { name: /^Email john\.smith@example\.com/ }).waitFor()
  await graph.getByRole('img', { name: /^Cookie dk5h2p9s7f3j8m1n4v0x/ }).waitFor()
  // Nodes are reached by keyboard, and say what they are.
  await graph.getByRole('img', { name: /^Email john/ }).focus()
  await graph.getByText(/^Email john\.smith@example\.com, first seen/).waitFor()
  await graph.getByText('The links as a list').click()
  await expectText(graph.getByRole('list', { name: 'Links' }), 'dk5h2p9s7f3j8m1n4v0x with john.smith@example.com')
  const timeline = profile(page).getByRole('article', { name: 'Timeline' })
  await timeline.getByText(/cricket, football, tom brady/).first().click()
  await timeline.getByText('"cookie": "dk5h2p9s7f3j8m1n4v0x"').first().waitFor()
}

export async function looksUpNobody(page) {
  await openPerson(page, 'cookie', 'a-cookie-that-nobody-has')
  await page.getByText('Nobody is known by this yet').waitFor()
  await page.getByRole('link', { name: '← All people' }).click()
  await page.getByRole('searchbox', { name: 'Search people' }).waitFor()
}

/** Two visitors become one while their profile is looked at; then the merge is taken apart again. */
export async function watchesMergeAndUndoesIt(page) {
  const [one, other, email] = [`merge-a-${RUN}`, `merge-b-${RUN}`, `merge-${RUN}@example.com`]
  await sendRecords(page, [{ cookie: one, email, interests: ['tennis'] }, { cookie: other, interests: ['golf'] }])
  await openPerson(page, 'email', email)
  const graph = profile(page).getByRole('article', { name: 'Identity graph' })
  const nodes = graph.getByRole('img')
  await eventually('an address and a cookie are drawn', () => nodes.count(), (count) => count === 2)
  await profile(page).getByText('live', { exact: true }).waitFor()
  await sendRecords(page, [{ cookie: other, email }])
  await profile(page).getByText(/was just found to be the same person/).waitFor()
  await eventually('the other cookie is drawn too', () => nodes.count(), (count) => count === 3)
  await graph.getByRole('list', { name: 'Merges' }).getByRole('button', { name: 'Undo' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Undo the merge' }).click()
  await graph.getByText(/undone by admin/).waitFor()
  await eventually('the other cookie is gone', () => nodes.count(), (count) => count === 2)
}

export async function erases(page) {
  const email = `forget-${RUN}@example.com`
  await sendRecords(page, [{ cookie: `forget-${RUN}`, email, interests: ['tennis'] }])
  await openPerson(page, 'email', email)
  await page.getByRole('heading', { name: email }).waitFor()
  await page.getByRole('button', { name: 'Erase…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Erase this person?' })
  const button = dialog.getByRole('button', { name: 'Erase for good' })
  if (!(await button.isDisabled())) throw new Error('erasing needs no confirmation')
  await dialog.getByLabel('Type the address to confirm').fill(email)
  await dialog.getByLabel(/^Why, without naming them/).fill('asked by letter')
  await button.click()
  const told = page.getByRole('dialog', { name: 'They are erased' })
  await expectText(told.getByRole('list', { name: 'What is gone' }), 'emails 1')
  await told.getByText('Nothing is left that can be read').waitFor({ timeout: LONG_MS })
  await picture(page, 'erased')
  await told.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('searchbox', { name: 'Search people' }).waitFor()
  await openPerson(page, 'email', email)
  await page.getByText('Nobody is known by this yet').waitFor()
}

export async function searches(page) {
  await openScreen(page, 'People')
  const box = page.getByRole('searchbox', { name: 'Search people' })
  const found = page.getByRole('region', { name: 'Found people' })
  // Half a word of an address that the CSV brought, typed key by key.
  await box.pressSequentially('story1', { delay: 20 })
  await found.getByText('story1@example.com').waitFor()
  await box.fill('')
  await page.getByRole('list', { name: 'City' }).getByRole('button', { name: /^Austin/ }).click()
  const sports = page.getByRole('list', { name: 'Cohort', exact: true }).getByRole('button', { name: /^Sports/ })
  await sports.click()
  await found.getByRole('heading', { name: /people$/ }).waitFor()
  await found.getByText(/^1–20 of/).waitFor()
  await found.getByRole('button', { name: 'Next' }).click()
  await found.getByText(/^21–/).waitFor()
  await box.fill('story24@example.com')
  await found.getByRole('link', { name: 'story24@example.com' }).click()
  await page.getByRole('heading', { name: 'story24@example.com' }).waitFor()
}

export async function followsInterests(page) {
  const alike = page.getByRole('region', { name: 'People like this one' })
  await alike.getByRole('link').first().waitFor()
  await expectText(alike, 'football')
  await page.getByRole('list', { name: 'Interests of this person' }).getByRole('link', { name: 'football' }).click()
  const similar = page.getByRole('list', { name: 'Similar interests' })
  // Which ones are near depends on who is there.
  const chosen = similar.getByRole('button').first()
  const interest = (await chosen.textContent())?.replace(/\s*[\d,]+$/, '')
  await chosen.click()
  await page.getByText(`Only people who like ${interest}`).waitFor()
  await page.getByRole('region', { name: 'Found people' }).getByRole('link').first().waitFor()
}

/** Somebody with addresses and cookies hidden from them finds their way by ids. */
export async function seesOutlines(page) {
  await openScreen(page, 'People')
  const found = page.getByRole('region', { name: 'Found people' })
  await found.getByText(/^Your role sees the outline/).waitFor()
  await found.getByRole('link', { name: /\*\*\*@/ }).first().click()
  await profile(page).getByRole('heading', { name: /\*\*\*/ }).first().waitFor()
  await profile(page).getByText(/^Your role sees the outline/).waitFor()
  if ((await profile(page).getByRole('button', { name: 'Erase…' }).count()) > 0) throw new Error('a viewer may erase')
  const timeline = profile(page).getByRole('article', { name: 'Timeline' })
  await timeline.getByText('a record').first().click()
  await timeline.getByText('Its text is hidden from your role, or no longer kept.').first().waitFor()
  await profile(page).getByRole('article', { name: 'Identity graph' }).getByRole('img').first().waitFor()
  await picture(page, 'outlines')
  // A whole address finds them as before.
  await openPerson(page, 'email', 'john.smith@example.com')
  await page.getByRole('heading', { name: 'j***@e***.com' }).waitFor()
  await openPerson(page, 'email', 'j***@e***.com')
  await page.getByText('Nobody is found by an outline').waitFor()
}

/** A tablet at which many log in: one address too many is refused, and allowed by hand. */
export async function judgesConflict(page) {
  const cookie = `tablet-${RUN}`
  // More than `identity.emails_max`.
  const records = Array.from({ length: 12 }, (_, n) => ({ cookie, email: `tablet-${n}-${RUN}@example.com` }))
  await sendRecords(page, records)
  await openScreen(page, 'People')
  await page.goto(`${BASE_URL}/#/people`)
  await page.reload()
  const refused = page.getByRole('region', { name: 'Refused links' })
  const first = refused.getByRole('listitem').filter({ hasText: cookie }).first()
  await first.getByText(/a shared computer, perhaps/).waitFor()
  await first.getByRole('button', { name: 'Keep apart' }).click()
  await refused.getByText(/^Judged\./).waitFor()
  await refused.getByLabel('Kept apart').check()
  await refused.getByText(/judged by admin/).first().waitFor()
}
