// The page as its users meet it, in a real browser against a real server.
//
// BASE_URL     the server                      (default http://127.0.0.1:8080)
// CHROMIUM     the browser's binary            (default /usr/bin/chromium)
// SCREENSHOTS  a folder for pictures of every screen, light, dark and narrow (default: none)
// ONLY         a pattern: only steps whose sentence fits, after the log-in (default: all)
//
// Ends with status 0, or with 1 and one sentence that says which step failed and how.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

import * as administration from './story/administration.mjs'
import * as api from './story/api.mjs'
import * as classify from './story/classify.mjs'
import * as cohorts from './story/cohorts.mjs'
import * as ingest from './story/ingest.mjs'
import * as people from './story/people.mjs'
import * as simulator from './story/simulator.mjs'
import { axe, BASE_URL, CHROMIUM, CHROMIUM_ARGS, expectText, logIn, picture, SCREENSHOTS, TIMEOUT_MS } from './story/support.mjs'
import * as webhooks from './story/webhooks.mjs'
import * as wellMade from './story/well-made.mjs'

const ONLY = new RegExp(process.env.ONLY ?? '')

/** What the browser reported against the page's wishes: console errors, and requests to other hosts. */
const complaints = []
let step = 'starting the browser'
let page

const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS })
try {
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true })
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: 'light' })
  context.setDefaultTimeout(TIMEOUT_MS)
  await told('a first visit is light', () => wellMade.isLight(context))
  page = await context.newPage()
  watch(page)

  await told('a wrong password is refused in words', refusesWrongPassword)
  await always('log in as admin', async () => {
    await page.goto(`${BASE_URL}/`)
    await logIn(page, 'admin')
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor()
    await expectText(page.getByRole('banner'), 'admin')
  })

  await told('ingest the example record', () => ingest.ingestsExample(page))
  await told('look John Smith up and find him in Sports', () => people.looksUpJohn(page))
  await told('each value tells where it comes from, by mouse and by keyboard', () => people.seesWhereValuesComeFrom(page))
  await told('the identity graph is drawn, and the timeline tells of the record', () => people.seesGraphAndTimeline(page))
  await told('an unknown person is told kindly', () => people.looksUpNobody(page))
  await told('a bad row of a CSV is explained, mended and stored', () => ingest.mendsBadRow(page))
  await told('a file goes in parts, and once more changes nothing', () => ingest.sendsFileInParts(page))
  await told('a payload that is broken off is explained', () => ingest.goesOnAfterBadPayload(page))
  await told('find people while typing, narrow down, and open one', () => people.searches(page))
  await told('from a profile to people alike and to similar interests', () => people.followsInterests(page))
  await told('a merge shows while one looks on, and is undone', () => people.watchesMergeAndUndoesIt(page))
  await told('erasing asks first', () => people.erases(page))

  await told('page through a cohort', () => cohorts.pagesMembers(page))
  await told('export a cohort', () => cohorts.exports(page))
  await told('define a cohort by interest, and watch it fill', () => cohorts.definesByInterest(page))
  await told('define one by a rule, with completion and a check', () => cohorts.definesByRule(page))
  await told('change a cohort, and go back', () => cohorts.changesAndGoesBack(page))
  await told('combine cohorts', () => cohorts.combines(page))
  await told('drop cohorts', () => cohorts.drops(page))

  await told('classify "nike shoes" as Fashion, and say why', () => classify.classifies(page))
  await told('draw the map of what people like', () => classify.drawsMap(page))
  await told('correct the classifier, and take it back', () => classify.corrects(page))

  await told('two visitors browse without a name', () => simulator.browsesAnonymously(page))
  await told('they log in with one address, and are one person', () => simulator.becomesOnePerson(page))
  await told('the story plays by itself', () => simulator.playsByItself(page))

  await told('a webhook tells its receiver', () => webhooks.tellsReceiver(page))
  await told('an admin adds a user, who is told of in the audit log', () => administration.looksAfterUsers(page))
  await told('a key for a website is made, and revoked', () => administration.makesKey(page))
  await told('a link that was refused is judged', () => people.judgesConflict(page))
  await told('the page shows its requests', () => api.showsItsRequests(page))
  await told('a request opens in GraphiQL, inside the page', () => api.opensRequestInGraphiQL(page))
  await told('Swagger UI asks as whoever is logged in', () => api.triesSwagger(page))

  await told('the page is accessible, in light and dark, and fits a phone', () => wellMade.isWellMade(page))
  await told('the overview does not move while it loads', () => wellMade.isStill(page))
  await told('everything is reached by keyboard', () => wellMade.worksByKeyboard(page))
  await told('run a query in GraphiQL', () => api.queriesGraphiQL(page))
  await told('log out', logsOut)
  await told('a viewer sees what a viewer may', seesAsViewer)
  await always('no console error, and no request to another host', async () => {
    if (complaints.length > 0) throw new Error(complaints.join('\n  '))
  })
  console.log('The story holds.')
} catch (error) {
  console.error(`FAILED: ${step}\n  ${error.message}`)
  if (complaints.length > 0) console.error(`The browser also said:\n  ${complaints.join('\n  ')}`)
  if (SCREENSHOTS) await page?.screenshot({ path: join(SCREENSHOTS, 'failed.png'), fullPage: true })
  process.exitCode = 1
} finally {
  await browser.close()
}

async function told(sentence, act) {
  if (ONLY.test(sentence)) await always(sentence, act)
}

async function always(sentence, act) {
  step = sentence
  const started = performance.now()
  await act()
  console.log(`ok: ${sentence} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
}

function watch(watched) {
  const origin = new URL(BASE_URL).origin
  // A refusal that the story provokes is an answer, though the browser logs it as an error.
  const isProvoked = (text) => /status of (400|401|404|422)/.test(text)
  watched.on('console', (message) => {
    if (message.type() === 'error' && !isProvoked(message.text())) complaints.push(`console: ${message.text()}`)
  })
  watched.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`))
  watched.on('request', (request) => {
    const url = new URL(request.url())
    const isLocal = ['data:', 'blob:'].includes(url.protocol)
    if (!isLocal && url.origin !== origin) complaints.push(`request to another host: ${request.url()}`)
  })
}

async function refusesWrongPassword() {
  await page.goto(`${BASE_URL}/`)
  await page.getByLabel('Username').fill('admin')
  await page.getByLabel('Password').fill('not the password')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('alert').getByText('Wrong username or password.').waitFor()
  await axe(page, 'log in')
  await picture(page, 'log-in')
}

async function logsOut() {
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
  await page.goto(`${BASE_URL}/`)
  await page.getByRole('heading', { name: 'Log in' }).waitFor()
}

async function seesAsViewer() {
  await logIn(page, 'viewer')
  const screens = await page.getByRole('navigation', { name: 'Screens' }).getByRole('link').allTextContents()
  const expected = 'Overview, People, Cohorts, API'
  if (screens.join(', ') !== expected) throw new Error(`a viewer sees ${screens.join(', ')}`)
  // What is not for a viewer says so, also to whoever has a link to it.
  await page.goto(`${BASE_URL}/#/ingest`)
  await page.getByText('Not with this account').waitFor()
  await page.goto(`${BASE_URL}/#/cohorts?cohort=sports`)
  const cohort = page.getByRole('region', { name: 'Cohort', exact: true })
  await cohort.waitFor()
  if ((await cohort.getByRole('button', { name: 'Drop…' }).count()) > 0) throw new Error('a viewer may drop a cohort')
  const members = page.getByRole('region', { name: 'Members', exact: true })
  await members.getByRole('link', { name: /\*\*\*@/ }).first().waitFor()
  await people.seesOutlines(page)
  await page.getByRole('button', { name: 'Log out' }).click()
}
