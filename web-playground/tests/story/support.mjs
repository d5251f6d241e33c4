// What every part of the story needs: where the server is, how to get about, and what must hold anywhere.

import { join } from 'node:path'

import { AxeBuilder } from '@axe-core/playwright'

export const BASE_URL = (process.env.BASE_URL ?? 'http://127.0.0.1:8080').replace(/\/$/, '')
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** A browser without a screen that asks nobody for anything. */
export const CHROMIUM_ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
export const SCREENSHOTS = process.env.SCREENSHOTS
/** Enough for a debug build on a busy machine, in milliseconds. */
export const TIMEOUT_MS = 20_000
/** What takes the server longer than an answer: backfills, files, the model for many texts. */
export const LONG_MS = 60_000
export const PHONE_WIDTH = 390

/** Told twice to one server, the story meets new people the second time. */
export const RUN = Date.now().toString(36)

export const SCREENS = ['Overview', 'People', 'Cohorts', 'Ingest', 'Classify', 'Simulator', 'Webhooks', 'Administration', 'API']

export async function logIn(page, username) {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password').fill(`demo-${username}`)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('navigation', { name: 'Screens' }).waitFor()
}

export async function openScreen(page, name) {
  await page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name }).click()
  await page.getByRole('heading', { name, level: 1 }).waitFor()
}

/** A person, by the address that leads there. */
export async function openPerson(page, by, value) {
  await page.goto(`${BASE_URL}/#/people?${by}=${encodeURIComponent(value)}`)
  await page.getByRole('heading', { name: 'People', level: 1 }).waitFor()
}

/** Sends records behind the page's back, as another program would. */
export async function sendRecords(page, records) {
  const token = await page.evaluate(() => JSON.parse(sessionStorage.getItem('cdp.session')).token)
  const response = await page.request.post(`${BASE_URL}/api/ingest?source=story`, {
    headers: { Authorization: `Bearer ${token}` },
    data: records,
  })
  if (!response.ok()) throw new Error(`records were not taken: ${response.status()} ${await response.text()}`)
}

export async function expectText(locator, text) {
  const found = (await locator.textContent()) ?? ''
  if (!found.includes(text)) throw new Error(`expected “${text}”, and found “${found.slice(0, 400)}”`)
}

/** Waits until something holds, and says what was there instead. */
export async function eventually(what, look, holds, timeoutMs = TIMEOUT_MS) {
  const until = Date.now() + timeoutMs
  for (;;) {
    const found = await look()
    if (holds(found)) return found
    if (Date.now() > until) throw new Error(`${what}: still ${JSON.stringify(found)}`)
    await new Promise((done) => setTimeout(done, 150))
  }
}

/** `rules` are the only ones to ask about, where the rest was asked before. */
export async function axe(page, where, rules) {
  // GraphiQL's own inside (a button within a tab, Monaco's colours) is its makers' to mend.
  const builder = new AxeBuilder({ page }).exclude('.graphiql-container')
  // What is asked anew is faded until its answer comes, which on a busy machine may be now.
  const unfaded = await page.addStyleTag({ content: "[aria-busy='true'] > * { opacity: 1 !important }" })
  const { violations } = await (rules ? builder.withRules(rules) : builder).analyze()
  await unfaded.evaluate((style) => style.remove())
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  if (grave.length === 0) return
  const said = grave.map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map((n) => n.target.join(' ')).join('; ')})`)
  throw new Error(`axe on ${where}:\n  ${said.join('\n  ')}`)
}

export async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
}
