// Sending records, mending what was refused, and a file in parts.

import { BASE_URL, eventually, expectText, LONG_MS, openScreen, RUN } from './support.mjs'

/** More football fans than a page of members holds, and one row that cannot be true. */
const CSV_WITH_A_BAD_ROW = [
  'visitor id,email,city,age,interests,Shoe size',
  ...Array.from({ length: 25 }, (_, n) => `story-cookie-${n},story${n}@example.com,Austin,${20 + n},football;cricket,43`),
  `story-cookie-bad-${RUN},story-bad-${RUN}@example.com,Austin,430,football,44`,
].join('\n')

/** Two and a half parts. */
const FILE_ROWS = 2_500

export async function ingestsExample(page) {
  await openScreen(page, 'Ingest')
  await page.getByRole('button', { name: 'Send records' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('success').waitFor()
  await result.getByText(/^Batch/).waitFor()
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Send records' }) })
  await form.getByText('This request as curl or GraphQL').click()
  await expectText(form.locator('.asked pre'), `curl -X POST '${BASE_URL}/api/ingest'`)
  await form.getByLabel('GraphQL', { exact: true }).check()
  await expectText(form.locator('.asked pre').first(), 'mutation Ingest')
}

export async function mendsBadRow(page) {
  await openScreen(page, 'Ingest')
  await page.getByRole('textbox', { name: /^Records as/ }).fill(CSV_WITH_A_BAD_ROW)
  // A pasted text is recognised for what it is, and its columns are shown as they will be read.
  await page.getByRole('textbox', { name: 'Records as CSV' }).waitFor()
  await page.getByText('How the 6 columns will be read, 1 of them only kept').click()
  await expectText(page.getByRole('row').filter({ hasText: 'visitor id' }), 'cookie')
  await page.getByRole('button', { name: 'Send records' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('partial').waitFor()
  const rejected = page.getByRole('region', { name: 'Rejected rows' })
  await rejected.waitFor()
  const rows = await rejected.getByRole('row').count()
  if (rows !== 2) throw new Error(`expected a heading and one rejected row, and found ${rows} rows`)
  await expectText(rejected, '430 is not between 0 and 122')
  await result.getByRole('region', { name: 'Quality by field' }).getByRole('row', { name: /demographics\.age/ }).waitFor()
  await rejected.getByLabel('demographics.age of row 26').fill('43')
  await result.getByRole('button', { name: 'Send 1 row again' }).click()
  await result.getByText('Every refused row of this batch is mended and stored.').waitFor()
}

export async function sendsFileInParts(page) {
  await openScreen(page, 'Ingest')
  const note = 'a note, with a comma and\na line break, so that rows are not lines'
  const rows = Array.from({ length: FILE_ROWS }, (_, n) => `file-${RUN}-${n},Ghent,${n === 1500 ? 430 : 30},"${note} ${n}"`)
  const file = { name: 'visitors.csv', mimeType: 'text/csv', buffer: Buffer.from(`cookie,city,age,note\n${rows.join('\n')}`) }
  await page.locator('input[type=file]').setInputFiles(file)
  await page.getByRole('button', { name: 'Send records' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText(/^All of it was sent/).waitFor({ timeout: LONG_MS })
  await expectText(result.locator('.figures'), (FILE_ROWS - 1).toLocaleString('en-US'))
  await result.getByLabel(/demographics\.age of row 501/).waitFor()
  // Sent once more, it changes nothing.
  await page.getByRole('button', { name: 'Send records' }).click()
  await result.getByText(`the server had ${FILE_ROWS.toLocaleString('en-US')} of them from before`).waitFor({ timeout: LONG_MS })
  await page.getByRole('button', { name: 'Use the example' }).click()
}

export async function goesOnAfterBadPayload(page) {
  await openScreen(page, 'Ingest')
  const box = page.getByRole('textbox', { name: /^Records as/ })
  await box.fill('[{"cookie":"x"')
  await page.getByRole('button', { name: 'Send records' }).click()
  await page.getByRole('region', { name: 'Result' }).getByRole('alert').waitFor()
  await page.getByRole('button', { name: 'Use the example' }).click()
  await eventually('the example is back', () => box.inputValue(), (text) => text.includes('john.smith'))
  await page.getByRole('button', { name: 'Send records' }).click()
  await page.getByRole('region', { name: 'Result' }).getByText('success').waitFor()
}
