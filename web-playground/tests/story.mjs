// The page as its users meet it, in a real browser against a real server.
//
// BASE_URL     the server                      (default http://127.0.0.1:8080)
// CHROMIUM     the browser's binary            (default /usr/bin/chromium)
// SCREENSHOTS  a folder for pictures of every screen, light, dark and narrow (default: none)
//
// Ends with status 0, or with 1 and one sentence that says which step failed and how.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'

const BASE_URL = (process.env.BASE_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '')
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const SCREENSHOTS = process.env.SCREENSHOTS
/** Enough for a debug build on a busy machine, in milliseconds. */
const TIMEOUT_MS = 20_000
/** Monaco is megabytes of script. */
const EDITOR_TIMEOUT_MS = 60_000
const PHONE_WIDTH = 390

/** More football fans than a page of members holds, and one row that cannot be true. */
const CSV_WITH_A_BAD_ROW = [
  'cookie,email,city,age,interests',
  ...Array.from({ length: 25 }, (_, n) => `story-cookie-${n},story${n}@example.com,Austin,${20 + n},football;cricket`),
  'story-cookie-bad,story-bad@example.com,Austin,430,football',
].join('\n')

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** What the browser reported against the page's wishes: console errors, and requests to other hosts. */
const complaints = []
let step = 'starting the browser'

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS })
try {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true })
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: 'light' })
  context.setDefaultTimeout(TIMEOUT_MS)
  const page = await context.newPage()
  watch(page)

  await told('a wrong password is refused in words', () => refusesWrongPassword(page))
  await told('log in as admin', () => logsIn(page))
  await told('ingest the example record', () => ingestsExample(page))
  await told('look John Smith up and find him in Sports', () => looksUpJohn(page))
  await told('an unknown person is told kindly', () => looksUpNobody(page))
  await told('a bad row of a CSV is explained', () => ingestsBadRow(page))
  await told('page through a cohort', () => pagesCohort(page))
  await told('find people while typing, narrow down, and open one', () => searches(page))
  await told('from a profile to people alike and to similar interests', () => followsInterests(page))
  await told('classify "nike shoes" as Fashion', () => classifies(page))
  await told('the page is accessible, in light and dark, and fits a phone', () => isWellMade(page))
  await told('run a query in GraphiQL', () => queriesGraphiQL(page))
  await told('log out', () => logsOut(page))
  await told('no console error, and no request to another host', () => {
    if (complaints.length > 0) throw new Error(complaints.join('\n  '))
  })
  console.log('The story holds.')
} catch (error) {
  console.error(`FAILED: ${step}\n  ${error.message}`)
  if (complaints.length > 0) console.error(`The browser also said:\n  ${complaints.join('\n  ')}`)
  process.exitCode = 1
} finally {
  await browser.close()
}

async function told(sentence, act) {
  step = sentence
  await act()
  console.log(`ok: ${sentence}`)
}

function watch(page) {
  const origin = new URL(BASE_URL).origin
  // A refusal that the story provokes is an answer, though the browser logs it as an error.
  const isProvoked = (text) => /status of (401|404|422)/.test(text)
  page.on('console', (message) => {
    if (message.type() === 'error' && !isProvoked(message.text())) complaints.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`))
  page.on('request', (request) => {
    const url = new URL(request.url())
    const isLocal = ['data:', 'blob:'].includes(url.protocol)
    if (!isLocal && url.origin !== origin) complaints.push(`request to another host: ${request.url()}`)
  })
}

async function refusesWrongPassword(page) {
  await page.goto(`${BASE_URL}/`)
  await page.getByLabel('Username').fill('admin')
  await page.getByLabel('Password').fill('not the password')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('alert').getByText('Wrong username or password.').waitFor()
  await axe(page, 'log in')
  await picture(page, 'log-in')
}

async function logsIn(page) {
  await page.getByLabel('Username').fill('admin')
  await page.getByLabel('Password').fill('demo-admin')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: 'Ingest', level: 1 }).waitFor()
  await expectText(page.getByRole('banner'), 'admin')
}

async function ingestsExample(page) {
  await page.getByRole('button', { name: 'Send records' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('success').waitFor()
  await result.getByText(/^Batch/).waitFor()
  await page.getByText('This request as curl').filter({ visible: true }).click()
  await expectText(page.locator('.curl pre').filter({ visible: true }), `curl -X POST '${BASE_URL}/api/ingest'`)
}

async function looksUpJohn(page) {
  await page.getByRole('link', { name: 'Look up john.smith@example.com' }).click()
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
  await page.getByRole('list', { name: 'Cohorts of this person' }).getByText('Sports').waitFor()
  await expectText(page.getByRole('region', { name: 'Profile' }), 'Brooklyn')
  // The cookie finds the same person.
  await page.getByLabel('Cookie', { exact: true }).check()
  await page.getByRole('textbox', { name: 'Cookie' }).fill('dk5h2p9s7f3j8m1n4v0x')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
  await page.getByText('Where each value comes from').click()
}

async function looksUpNobody(page) {
  await openScreen(page, 'People')
  await page.getByRole('textbox', { name: 'Cookie' }).fill('a-cookie-that-nobody-has')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.getByText('Nobody is known by this yet').waitFor()
  await page.getByRole('textbox', { name: 'Cookie' }).fill('dk5h2p9s7f3j8m1n4v0x')
  await page.getByRole('button', { name: 'Look up' }).click()
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
}

async function ingestsBadRow(page) {
  await openScreen(page, 'Ingest')
  await page.getByRole('textbox', { name: /^Records as/ }).fill(CSV_WITH_A_BAD_ROW)
  // A pasted text is recognised for what it is.
  await page.getByRole('textbox', { name: 'Records as CSV' }).waitFor()
  await page.getByRole('button', { name: 'Send records' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('partial').waitFor()
  const rejected = page.getByRole('region', { name: 'Rejected rows' })
  const rows = await rejected.getByRole('row').count()
  if (rows !== 2) throw new Error(`expected a heading and one rejected row, and found ${rows} rows`)
  await expectText(rejected, '430')
  const age = result.getByRole('region', { name: 'Quality by field' }).getByRole('row', { name: /demographics\.age/ })
  await age.waitFor()
  await result.getByText('Most frequent bad values').click()
  await expectText(result.getByRole('region', { name: 'Bad values' }), '430')
}

async function pagesCohort(page) {
  await openScreen(page, 'Cohorts')
  const cohorts = page.getByRole('region', { name: 'Cohorts' })
  await cohorts.getByRole('button', { name: /^Sports/ }).click()
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

async function searches(page) {
  await openScreen(page, 'Search')
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

async function followsInterests(page) {
  const alike = page.getByRole('region', { name: 'People like this one' })
  await alike.getByRole('link').first().waitFor()
  await expectText(alike, 'football')
  await page.getByRole('list', { name: 'Interests of this person' }).getByRole('link', { name: 'football' }).click()
  await page.getByRole('heading', { name: 'Search', level: 1 }).waitFor()
  const similar = page.getByRole('list', { name: 'Similar interests' })
  await similar.getByRole('button', { name: /^cricket/ }).click()
  await page.getByText('Only people who like cricket').waitFor()
  const found = page.getByRole('region', { name: 'Found people' })
  await found.getByText('john.smith@example.com').or(found.getByText(/^1–20 of/)).first().waitFor()
}

async function classifies(page) {
  await openScreen(page, 'Classify')
  await page.getByLabel('Interests, one on each line').fill('nike shoes\ncrcket\nasdf')
  await page.getByRole('button', { name: 'Classify' }).click()
  const shoes = page.getByRole('article').filter({ has: page.getByRole('heading', { name: /^nike shoes/ }) })
  await shoes.locator('.badge').getByText('Fashion').waitFor()
}

/** Every screen as the story left it: full of answers. */
async function isWellMade(page) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const screen of ['Ingest', 'People', 'Search', 'Cohorts', 'Classify']) {
      await openScreen(page, screen)
      await axe(page, `${screen}, ${colorScheme}`)
      await picture(page, `${screen.toLowerCase()}-${colorScheme}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: PHONE_WIDTH, height: 844 })
  for (const screen of ['Ingest', 'People', 'Search', 'Cohorts', 'Classify']) {
    await openScreen(page, screen)
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    if (width > PHONE_WIDTH) throw new Error(`${screen} is ${width} px wide on a phone of ${PHONE_WIDTH}`)
    await axe(page, `${screen}, phone`)
    await picture(page, `${screen.toLowerCase()}-phone`)
  }
  await page.setViewportSize({ width: 1280, height: 860 })
}

async function queriesGraphiQL(page) {
  // The session of the first page counts here, in the same tab.
  await page.getByRole('banner').getByRole('link', { name: 'GraphiQL' }).click()
  const editor = page.getByRole('region', { name: 'Operation Editor' }).locator('.monaco-editor').first()
  await editor.waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await editor.click()
  await page.keyboard.press('Control+A')
  // The editor would put a typed brace around what is selected.
  await page.keyboard.press('Delete')
  await page.keyboard.type('{ cohorts { name size } }')
  await page.getByRole('button', { name: /^Execute query/ }).click()
  const result = page.getByRole('region', { name: 'Result Window' })
  await result.getByText('"name"').first().waitFor({ timeout: EDITOR_TIMEOUT_MS })
  // A saved operation opens in a tab of its own, with its variables.
  await page.getByRole('button', { name: /Saved operations/ }).click()
  const saved = page.getByRole('region', { name: 'Saved operations' })
  await saved.getByRole('button', { name: 'classify', exact: true }).click()
  await page.getByRole('button', { name: /^Execute query/ }).click()
  await result.getByText('"classify"').first().waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await axe(page, 'GraphiQL, light')
  await picture(page, 'graphiql-light')
  // The editor looks at the colour scheme when it starts.
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.reload()
  await editor.waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await axe(page, 'GraphiQL, dark')
  await picture(page, 'graphiql-dark')
}

async function logsOut(page) {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  await page.goto(`${BASE_URL}/`)
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
}

async function openScreen(page, name) {
  await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name }).click()
  await page.getByRole('heading', { name, level: 1 }).waitFor()
}

async function expectText(locator, text) {
  const found = (await locator.textContent()) ?? ''
  if (!found.includes(text)) throw new Error(`expected “${text}”, and found “${found.slice(0, 400)}”`)
}

async function axe(page, where) {
  // GraphiQL's own inside (a button within a tab, Monaco's colours) is its makers' to mend.
  const { violations } = await new AxeBuilder({ page }).exclude('.graphiql-container').analyze()
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  if (grave.length === 0) return
  const said = grave.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map((n) => n.target.join(' ')).join('; ')})`)
  throw new Error(`axe on ${where}:\n  ${said.join('\n  ')}`)
}

async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
}
