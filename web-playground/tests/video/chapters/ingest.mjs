// A table of customers: dropped, understood, refused in part, mended.

import { openScreen } from '../../story/support.mjs'

const FILE = {
  name: 'customers.csv',
  type: 'text/csv',
  text: [
    'Customer;E-Mail;Town;Age;Interests',
    'K-1001;ann.meyer@example.com;Berlin;34;golf, city breaks',
    'K-1002;omar.haddad@example.com;Lyon;41;espresso, jazz',
    'K-1003;ines.rocha@example.com;Lisbon;290;surfing',
    'K-1004;yuki.tanaka@;Tokyo;27;pc gaming',
    'K-1005;liv.olsen@example.com;Oslo;52;skiing, knitting',
    'K-1006;marc.petit@example.com;Paris;38;cheese, wine',
  ].join('\n'),
}

export async function tell(stage) {
  const { page } = stage
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Ingest' }))
  await openScreen(page, 'Ingest')
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Send records' }) })
  await stage.say('Apps and shops send their records to the API. A list of customers may also just be dropped here.')
  await stage.drop(form, FILE)
  await page.getByRole('textbox', { name: 'Records as CSV' }).waitFor()
  await stage.say('The columns are understood by their names, in several languages. One is not: say that it is the cookie.')
  const columns = page.getByRole('region', { name: 'How columns are read' })
  await stage.bring(columns)
  await stage.choose(page.getByLabel('Customer is read as'), 'cookie')
  await stage.click(form.getByRole('button', { name: 'Send records' }))
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('partial').waitFor()
  await result.getByRole('region', { name: 'Quality by field' }).waitFor()
  await stage.top()
  await stage.say('Four rows are in. Two are held back, each with what is wrong with it.')
  await stage.show(result.getByRole('region', { name: 'Rejected rows' }))
  await stage.say('Nothing has to be exported again: mend the cells right here, and send the two rows once more.')
  await mends(stage, result)
  await stage.say('A quality report says for each field how much of it can be trusted.')
  await stage.show(result.getByRole('region', { name: 'Quality by field' }))
}

async function mends(stage, result) {
  await stage.fill(result.getByLabel(/^demographics\.age of row/).first(), '29', 3)
  await stage.fill(result.getByLabel(/^email of row/).nth(1), 'yuki.tanaka@example.com', 1)
  await stage.click(result.getByRole('button', { name: 'Send 2 rows again' }))
  await result.getByText('Every refused row of this batch is mended and stored.').waitFor()
  await stage.live(0.5)
}
