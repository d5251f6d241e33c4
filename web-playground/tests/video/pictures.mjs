// The pictures of the documentation, taken anew from the page as it is.
//
//   node tests/video/pictures.mjs FOLDER     overview, person, map, rule, simulator .png
//
// BASE_URL   a server just started with the demo's people   (default http://127.0.0.1:8080)
//
// Each has at most 256 colours, which a page hardly exceeds, and fails if it is larger than 200 kB.

import { execFileSync } from 'node:child_process'
import { mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { BASE_URL, logIn, openScreen } from '../story/support.mjs'
import { ask, open } from './browser.mjs'

const BYTES_MAX = 200_000

/** A picture is as wide as the window, and as high as what it shows, up to this. */
const HEIGHT = 1000

/** Of the visitor in the simulator. */
const EMAIL = 'robin@example.com'

const PICTURES = { overview, simulator, person, map, rule }

const [folder] = process.argv.slice(2)
if (!folder) throw new Error('usage: node tests/video/pictures.mjs FOLDER')
const only = new RegExp(process.env.ONLY ?? '')

const work = await mkdtemp(join(folder, '.pictures-'))
const { browser, page } = await open({ filmed: false, height: HEIGHT })
try {
  await logIn(page, 'admin')
  for (const [name, show] of Object.entries(PICTURES)) {
    if (!only.test(name)) continue
    await show(page)
    const file = join(work, `${name}.png`)
    await page.mouse.move(2, HEIGHT - 2)
    await page.waitForTimeout(600)
    await page.screenshot({ path: file })
    await keep(file, join(folder, `${name}.png`))
  }
} finally {
  await browser.close()
  await rm(work, { recursive: true, force: true })
}

/** With a palette of its own, in place of the one that was there. */
async function keep(file, target) {
  const small = file.replace('.png', '.small.png')
  const palette = 'split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=dither=none'
  execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', '-i', file, '-vf', palette, small])
  const { size } = await stat(small)
  if (size > BYTES_MAX) throw new Error(`${target} would have ${size} bytes`)
  await rename(small, target)
  console.log(`${target}: ${Math.round(size / 1000)} kB`)
}

async function overview(page) {
  await openScreen(page, 'Overview')
  await page.getByRole('region', { name: 'Overlap of cohorts' }).waitFor()
  const seen = [['football'], ['espresso', 'tea'], ['jazz'], ['ski resorts'], ['indie games'], ['garden sheds'], ['running shoes']]
  for (const [number, interests] of [...seen, ...seen].entries()) {
    const record = { cookie: `seen-${number}`, interests, ...(number % 3 === 0 ? { email: 'kim.lee@example.com' } : {}) }
    await ask(page, '/api/ingest?source=shop', { method: 'POST', data: [record] })
    await page.waitForTimeout(number % 4 === 0 ? 1500 : 300)
  }
}

async function simulator(page) {
  await openScreen(page, 'Simulator')
  const [laptop, phone] = ['Laptop', 'Phone'].map((name) => page.getByRole('region', { name, exact: true }))
  const known = page.getByRole('region', { name: 'What the platform knows' })
  await laptop.getByRole('button', { name: 'Match football' }).click()
  await phone.getByRole('button', { name: 'Gaming headset' }).click()
  await known.getByText('two people').waitFor()
  await laptop.getByRole('textbox', { name: 'Email in Laptop' }).fill(EMAIL)
  await laptop.getByRole('button', { name: 'Log in' }).click()
  await laptop.getByText(/^logged in as/).waitFor()
  await phone.getByRole('button', { name: 'Log in' }).click()
  await page.getByText(/are one person: the platform just merged them/).waitFor()
  await known.getByText('one person').waitFor()
  // The drawing has to come to rest.
  await page.waitForTimeout(4500)
  await known.scrollIntoViewIfNeeded()
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
}

async function person(page) {
  await page.goto(`${BASE_URL}/#/people?cookie=`)
  await openScreen(page, 'People')
  const found = page.getByRole('region', { name: 'Found people' })
  await page.getByRole('searchbox', { name: 'Search people' }).fill('tennis brooklyn')
  await found.getByRole('heading', { name: /^\d+ (person|people)$/ }).waitFor()
  await found.getByRole('link', { name: /@/ }).first().click()
  await page.getByRole('article', { name: 'Identity graph' }).getByRole('img').first().waitFor()
  await page.waitForTimeout(4500)
  await page.evaluate(() => scrollTo(0, 120))
}

async function map(page) {
  await openScreen(page, 'Classify')
  const card = page.getByRole('region', { name: 'Map of interests' })
  await card.getByRole('button', { name: 'Draw the map' }).click()
  await card.getByRole('button', { name: /^football, Sports/ }).waitFor()
  await page.waitForTimeout(4500)
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
}

async function rule(page) {
  await openScreen(page, 'Cohorts')
  await page.getByRole('link', { name: 'New cohort' }).click()
  const form = page.getByRole('form', { name: 'New cohort' })
  await form.getByLabel('By rule').check()
  await form.getByLabel('Name', { exact: true }).fill('Young fans, lately seen')
  await form.getByRole('textbox', { name: 'Rule in CEL' }).click()
  await page.keyboard.type('profile.age < 30 && "Sports" in cohorts && profile.last_seen.within("30d")')
  await page.keyboard.press('Escape')
  await form.getByText(/would be in it/).waitFor()
  await page.keyboard.type(' && profile.c')
  await page.getByRole('option').first().waitFor()
}
