// Audiences: one by a sentence, one by a rule, and out with them.

import { openScreen } from '../../story/support.mjs'

const detail = (page) => page.getByRole('region', { name: 'Cohort', exact: true })

export async function tell(stage) {
  const { page } = stage
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Cohorts' }))
  await openScreen(page, 'Cohorts')
  await stage.say('An audience for the next campaign. Describe it in a sentence; nobody has to write a query.')
  await byInterest(stage)
  await byRule(stage)
}

async function byInterest(stage) {
  const { page } = stage
  await stage.click(page.getByRole('link', { name: 'New cohort' }))
  const form = page.getByRole('form', { name: 'New cohort' })
  await stage.fill(form.getByLabel('Name', { exact: true }), 'Live Shows')
  await stage.fill(form.getByLabel('Description'), 'Musicals, stand-up comedy, magic and evenings at the theatre.', 1)
  await stage.click(form.getByRole('button', { name: 'Define it' }))
  await stage.say('All people are looked at, and the cohort fills while one watches.')
  const done = detail(page).getByText(/^Everybody was looked at/)
  await stage.liveUntil(() => done.isVisible(), 4)
  await done.waitFor()
  await stage.live(0.8)
  await stage.say('Whoever likes “broadway shows” is in, though the sentence has no such word. Newcomers enter by themselves.')
  await stage.show(detail(page).locator('.cohort-count'))
  await stage.say('It leaves as a file, for mailing or ads; webhooks tell other programs of everybody who enters or leaves.')
  await stage.show(detail(page).locator('.joined'))
}

async function byRule(stage) {
  const { page } = stage
  await stage.read()
  await stage.top()
  await stage.click(page.getByRole('link', { name: 'New cohort' }))
  const form = page.getByRole('form', { name: 'New cohort' })
  await stage.click(form.getByText('By rule'))
  await stage.say('Or by a rule. The editor offers what is known of people, and marks what is wrong.')
  await stage.fill(form.getByLabel('Name', { exact: true }), 'Young fans, lately seen', 1)
  const editor = form.getByRole('textbox', { name: 'Rule in CEL' })
  // What the editor offers unrolls below it.
  await stage.bring(editor, { top: 150, always: true })
  await stage.click(editor)
  await stage.type('profile.a')
  await page.getByRole('option', { name: /^profile\.age/ }).waitFor()
  await stage.hold(1)
  await stage.type('ge < 30 && "Spo', 1)
  await page.getByRole('option', { name: /Sports/ }).first().waitFor()
  await stage.hold(1)
  await page.keyboard.press('Escape')
  await stage.type('rts" in cohorts && profile.last_seen.within("30d")', 1)
  await page.keyboard.press('Escape')
  await form.getByText(/would be in it/).waitFor()
  await stage.live(0.4)
  await stage.say('Before anything is saved, it says how many would be in it, and who for example.')
  await stage.show(form.locator('.rule-says'))
}
