// What must hold of every screen: accessible, in light and dark, as wide as a phone, light to load, and still.

import { gzipSync } from 'node:zlib'

import { axe, BASE_URL, openScreen, PHONE_WIDTH, picture, SCREENS } from './support.mjs'

/** What a first visit may load, compressed, in bytes. */
const FIRST_LOAD_BYTES_MAX = 300_000

/** What counts as good for the whole life of a page (https://web.dev/articles/cls). */
const LAYOUT_SHIFT_MAX = 0.1

const fileName = (screen) => screen.toLowerCase()

/** Every screen as the story left it: full of answers. */
export async function isWellMade(page) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const screen of SCREENS) {
      await openScreen(page, screen)
      // In the dark only colours are others.
      await axe(page, `${screen}, ${colorScheme}`, colorScheme === 'dark' ? ['color-contrast'] : undefined)
      await picture(page, `${fileName(screen)}-${colorScheme}`)
    }
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await page.setViewportSize({ width: PHONE_WIDTH, height: 844 })
  for (const screen of SCREENS) {
    await openScreen(page, screen)
    const width = await page.evaluate(() => document.documentElement.scrollWidth)
    if (width > PHONE_WIDTH) throw new Error(`${screen} is ${width} px wide on a phone of ${PHONE_WIDTH}`)
    await axe(page, `${screen}, phone`)
    await picture(page, `${fileName(screen)}-phone`)
  }
  await page.setViewportSize({ width: 1280, height: 860 })
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' })
}

export async function isLight(context) {
  const page = await context.newPage()
  const sizes = []
  const note = (response) => {
    if (response.ok()) sizes.push(response.body().then((body) => gzipSync(body).length))
  }
  page.on('response', note)
  await page.goto(`${BASE_URL}/`, { waitUntil: 'networkidle' })
  // What comes from now on belongs to no first visit, and its body may be gone with the page.
  page.off('response', note)
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  await page.close()
  if (bytes > FIRST_LOAD_BYTES_MAX) throw new Error(`a first visit loads ${bytes} bytes, compressed`)
}

/** The first screen settles without moving what somebody may be reading. */
export async function isStill(page) {
  await page.goto(`${BASE_URL}/#/overview`)
  await page.reload()
  await page.getByRole('region', { name: 'Totals' }).waitFor()
  await page.getByRole('region', { name: 'Overlap of cohorts' }).waitFor()
  const shift = await page.evaluate(
    () =>
      new Promise((done) => {
        let sum = 0
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value
        }).observe({ type: 'layout-shift', buffered: true })
        setTimeout(() => done(sum), 600)
      }),
  )
  if (shift > LAYOUT_SHIFT_MAX) throw new Error(`the overview moved by ${shift.toFixed(3)} while it loaded`)
}

/** Whoever has no mouse gets to the content first, and through the screens. */
export async function worksByKeyboard(page) {
  await page.goto(`${BASE_URL}/#/people`)
  await page.reload()
  await page.getByRole('searchbox', { name: 'Search people' }).waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  const inMain = await page.evaluate(() => document.activeElement?.tagName)
  if (inMain !== 'MAIN') throw new Error(`the first Tab and Enter lead to ${inMain}, not to the content`)
  await page.keyboard.press('Tab')
  await page.keyboard.type('john.smith')
  const found = page.getByRole('region', { name: 'Found people' })
  const john = found.getByRole('link', { name: 'john.smith@example.com' })
  await john.waitFor()
  await john.focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'john.smith@example.com' }).waitFor()
}
