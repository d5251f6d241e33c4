// Cohorts: their members, new ones that fill while one looks on, rules, versions, files.

import { eventually, expectText, LONG_MS, openScreen, RUN, sendRecords } from './support.mjs'

const detail = (page) => page.getByRole('region', { name: 'Cohort', exact: true })

async function choose(page, name) {
  await openScreen(page, 'Cohorts')
  await page.getByRole('region', { name: 'Cohorts' }).getByRole('link', { name }).click()
}

export async function pagesMembers(page) {
  await choose(page, /^Sports/)
  const members = page.getByRole('region', { name: 'Members', exact: true })
  await members.getByText(/^1–20 of/).waitFor()
  const first = await members.getByRole('row').nth(1).textContent()
  await members.getByRole('button', { name: 'Next' }).click()
  await members.getByText(/^21–/).waitFor()
  const second = await members.getByRole('row').nth(1).textContent()
  if (first === second) throw new Error('the second page starts with the same person as the first')
  await members.getByRole('button', { name: 'Previous' }).click()
  await members.getByText(/^1–20 of/).waitFor()
}

export async function exports(page) {
  const download = page.waitForEvent('download')
  await detail(page).getByRole('button', { name: 'Export' }).click()
  const name = (await download).suggestedFilename()
  if (name !== 'sports.csv') throw new Error(`the file is called ${name}`)
}

/** A cohort by interest finds who was there, and then who comes. */
export async function definesByInterest(page) {
  await sendRecords(page, [{ cookie: `sailor-${RUN}`, interests: ['regatta'] }])
  await openScreen(page, 'Cohorts')
  await page.getByRole('link', { name: 'New cohort' }).click()
  const form = page.getByRole('form', { name: 'New cohort' })
  await form.getByLabel('Name', { exact: true }).fill(`Sailing ${RUN}`)
  await form.getByLabel('Description').fill('Sailing, yachts, regattas and life at sea.')
  await form.getByLabel(/^Typical interests/).fill('regatta, catamaran, yacht charter')
  await form.getByRole('button', { name: 'Define it' }).click()
  await detail(page).getByText(/^Everybody was looked at/).waitFor({ timeout: LONG_MS })
  const size = detail(page).locator('.cohort-count strong')
  await eventually('the sailor who was there is in it', () => size.textContent(), (text) => Number(text) >= 1)
  const before = Number(await size.textContent())
  await detail(page).getByText('live', { exact: true }).waitFor()
  await sendRecords(page, [{ cookie: `sailor-2-${RUN}`, interests: ['catamaran'] }])
  await detail(page).getByRole('list', { name: 'Comings and goings' }).getByText('entered').first().waitFor()
  await eventually('the next one enters', () => size.textContent(), (text) => Number(text) > before)
}

export async function definesByRule(page) {
  await openScreen(page, 'Cohorts')
  await page.getByRole('link', { name: 'New cohort' }).click()
  const form = page.getByRole('form', { name: 'New cohort' })
  await form.getByLabel('By rule').check()
  await form.getByLabel('Name', { exact: true }).fill(`Texans ${RUN}`)
  const editor = form.getByRole('textbox', { name: 'Rule in CEL' })
  await editor.click()
  await page.keyboard.type('profile.agee > 20')
  await form.getByText('`agee` is unknown').waitFor()
  await page.keyboard.press('Control+A')
  // Completion writes the field.
  await page.keyboard.type('profile.location.c')
  await page.getByRole('option', { name: /^profile\.location\.city/ }).click()
  // The editor closes what is opened, so the second quote is typed over.
  await page.keyboard.type(' == "Austin" && profile.age < 40')
  await form.getByText(/would be in it/).waitFor()
  await form.getByRole('button', { name: 'Define it' }).click()
  await detail(page).getByText(/^Everybody was looked at/).waitFor({ timeout: LONG_MS })
  await expectText(detail(page), 'profile.location.city == "Austin" && profile.age < 40')
  const size = detail(page).locator('.cohort-count strong')
  await eventually('Texans are found', () => size.textContent(), (text) => Number(text) >= 15)
}

export async function changesAndGoesBack(page) {
  await detail(page).getByRole('button', { name: 'Change' }).click()
  const form = page.getByRole('form', { name: /^Change Texans/ })
  const editor = form.getByRole('textbox', { name: 'Rule in CEL' })
  await editor.click()
  await page.keyboard.press('Control+A')
  await page.keyboard.type('profile.age > 200')
  await form.getByText(/would be in it/).waitFor()
  await form.getByRole('button', { name: 'Save' }).click()
  await detail(page).getByText('version 2').waitFor()
  const size = detail(page).locator('.cohort-count strong')
  await eventually('nobody is that old', () => size.textContent(), (text) => text === '0', LONG_MS)
  const versions = page.getByRole('region', { name: 'Versions' })
  await versions.getByRole('button', { name: 'Go back to it' }).click()
  await detail(page).getByText('version 3').waitFor()
  await eventually('they are back', () => size.textContent(), (text) => Number(text) >= 15, LONG_MS)
}

export async function combines(page) {
  await openScreen(page, 'Cohorts')
  await page.getByRole('link', { name: 'New cohort' }).click()
  const form = page.getByRole('form', { name: 'New cohort' })
  await form.getByLabel('Of others').check()
  await form.getByLabel('Sports', { exact: true }).selectOption('all')
  await form.getByLabel(`Texans ${RUN}`).selectOption('all')
  await form.getByText(/people, exactly/).waitFor()
  await expectText(form, '"sports" in cohorts')
  await form.getByRole('button', { name: 'Cancel' }).click()
}

export async function drops(page) {
  for (const name of [`Texans ${RUN}`, `Sailing ${RUN}`]) {
    await choose(page, new RegExp(`^${name}`))
    await detail(page).getByRole('button', { name: 'Drop…' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Drop it' }).click()
    const list = page.getByRole('region', { name: 'Cohorts' })
    await list.getByRole('link', { name: new RegExp(`^${name}`) }).waitFor({ state: 'detached' })
  }
}
