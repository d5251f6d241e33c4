// What it is: the log-in, and the overview with something going on.

import { ask } from '../browser.mjs'

/** Visits that come in while the overview is looked at. */
const VISITS = [
  ['football', 'premier league'],
  ['espresso', 'coffee brewing'],
  ['ski resorts', 'train journeys'],
  ['jazz', 'vinyl records'],
  ['gaming keyboards', 'indie games'],
  ['running shoes', 'marathon running'],
  ['garden sheds', 'composting'],
  ['broadway shows', 'stand-up comedy'],
]

const region = (page, name) => page.getByRole('region', { name, exact: true })

export async function tell(stage) {
  const { page } = stage
  await stage.say('Companies know their customers in pieces: a cookie here, an email address there. This program puts the pieces together.')
  await stage.fill(page.getByLabel('Username'), 'admin')
  await stage.fill(page.getByLabel('Password'), 'demo-admin', 1)
  await stage.read()
  await stage.click(page.getByRole('button', { name: 'Log in' }))
  await region(page, 'Overlap of cohorts').waitFor()
  await stage.live(0.6)
  await stage.say('The overview: how many people are known, what came in, and how many pieces were merged.')
  await stage.show(region(page, 'Totals'))
  await stage.say('“Right now”: a shop is sending its visits. Nobody reloads this page; it is told of each one.')
  await stage.show(region(page, 'Right now'))
  await visits(stage)
  await stage.say('Cohorts are groups of people: by what they like, or by a rule. Here is who entered and left them today.')
  await stage.show(region(page, 'Cohort sizes'))
  await stage.say('What was wrong with the data is counted too, by source and by field.')
  await stage.show(region(page, 'Data quality'))
  await stage.say('And which groups share people: the darker, the more.')
  await stage.show(region(page, 'Overlap'))
}

/** Some seconds of a shop: visitors come one after the other, and two of them turn out to be one. */
async function visits(stage) {
  let number = 0
  const sending = (async () => {
    for (const interests of [...VISITS, ...VISITS]) {
      const record = { cookie: `shop-visitor-${++number}`, interests }
      if (number % 4 === 0) Object.assign(record, { email: 'kim.lee@example.com' })
      await ask(stage.page, '/api/ingest?source=shop', { method: 'POST', data: [record] })
      await new Promise((done) => setTimeout(done, 320))
    }
  })()
  await stage.live(6)
  await sending
}
