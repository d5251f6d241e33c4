// The browser that is filmed and photographed: always the same size, language, time zone and chance.

import { chromium } from 'playwright-core'

import { BASE_URL, CHROMIUM, CHROMIUM_ARGS } from '../story/support.mjs'
import { SIZE, Stage } from './stage.mjs'

const ARGS = [...CHROMIUM_ARGS, '--force-color-profile=srgb', '--hide-scrollbars']

const TIMEOUT_MS = 60_000

export async function open({ filmed, height = SIZE.height }) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS })
  const context = await browser.newContext({
    viewport: { width: SIZE.width, height },
    colorScheme: 'light',
    locale: 'en-US',
    timezoneId: 'UTC',
  })
  context.setDefaultTimeout(TIMEOUT_MS)
  await context.addInitScript(sameChance)
  if (filmed) await Stage.prepare(context)
  const page = await context.newPage()
  await page.goto(`${BASE_URL}/`)
  return { browser, context, page }
}

/** The address that the simulator makes up is the same each time. Runs in the page. */
function sameChance() {
  let seed = 7
  Math.random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
}

/** As the page itself asks: with its token. */
export async function ask(page, path, options = {}) {
  const token = await page.evaluate(() => JSON.parse(sessionStorage.getItem('cdp.session')).token)
  const response = await page.request.fetch(`${BASE_URL}${path}`, {
    ...options,
    headers: { Authorization: `Bearer ${token}` },
  })
  if (!response.ok()) throw new Error(`${path}: ${response.status()} ${await response.text()}`)
  return response.json()
}
