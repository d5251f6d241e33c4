// A page that is filmed: picture by picture, in the film's own time.
//
// Nothing here depends on how fast the machine is. What moves by the film's will (the pointer, typing, scrolling,
// cards) is moved a step and photographed; a pause to read is one picture for as long as it takes; only what
// moves by itself is taken as it happens. Waiting for the server takes no time of the film.

import { overlay, STRIP } from './overlay.mjs'

/** Pictures in a second of the film. */
export const FPS = 15

export const SIZE = { width: 1280, height: 720 }

const JPEG_QUALITY = 93

/** Room around what is spoken about, in pixels. */
const MARGIN = 14

/** Words that are read in a second, and the seconds that are needed before the first one. */
const WORDS_PER_SECOND = 3.2
const BEFORE_READING = 0.9

/** The shortest and the longest way of the pointer, in pictures, and pixels in each. */
const MOVE = { min: 5, max: 13, pixels: 65 }

const SCROLL_FRAMES = 11

/** What keeps its place for so long stands still, in milliseconds. */
const STILL_MS = 120

/** How far from its left end a wide thing is pointed at, in pixels: that is where its words are. */
const FAR = 260

const eased = (share) => (share < 0.5 ? 4 * share ** 3 : 1 - (-2 * share + 2) ** 3 / 2)
const between = (from, to, share) => from + (to - from) * eased(share)

/** Seconds that a text wants to be seen. */
export const readingTime = (text) => BEFORE_READING + text.split(/\s+/).length / WORDS_PER_SECOND

export class Stage {
  /** `write(picture, times)` takes a picture into the film so often. `length` is how long it will be, in seconds. */
  constructor({ write, length }) {
    Object.assign(this, { write, length })
    this.frames = 0
    this.state = { pointer: { x: SIZE.width / 2, y: SIZE.height / 2 } }
    /** Captions as they were shown: text, and when it began and ended, in seconds. */
    this.cues = []
    /** Chapters: what they are called, and when they began. */
    this.chapters = []
  }

  static async prepare(context) {
    await context.addInitScript(overlay, { strip: STRIP })
  }

  get time() {
    return this.frames / FPS
  }

  /** Goes on with another page: the first one, or a tab that was opened. */
  async use(page) {
    this.page = page
    // A picture by this way takes half of the time that Playwright's own takes.
    this.camera = await page.context().newCDPSession(page)
  }

  // Pictures

  async shoot(times = 1) {
    const picture = await this.picture()
    await this.write(picture, times)
    this.frames += times
  }

  async picture() {
    const state = { ...this.state, progress: Math.min(this.time / this.length, 1) }
    await this.page.evaluate((state) => window.film.show(state), state)
    const options = { format: 'jpeg', quality: JPEG_QUALITY, optimizeForSpeed: true }
    return Buffer.from((await this.camera.send('Page.captureScreenshot', options)).data, 'base64')
  }

  /** The picture as it is, for some seconds. */
  async hold(seconds) {
    const times = Math.round(seconds * FPS)
    if (times > 0) await this.shoot(times)
  }

  /** What happens in so many seconds, as it happens. */
  async live(seconds) {
    await this.liveUntil(async () => false, seconds)
  }

  /** What happens until something holds; what takes longer than `most` seconds is waited for, and not shown. */
  async liveUntil(holds, most) {
    const started = performance.now()
    let shown = 0
    const all = Math.round(most * FPS)
    while (shown < all) {
      const isDone = await holds()
      const picture = await this.picture()
      const due = Math.min(Math.round(((performance.now() - started) / 1000) * FPS), all) - shown
      if (due > 0) {
        await this.write(picture, due)
        this.frames += due
        shown += due
      }
      if (isDone) return
    }
  }

  // Words

  chapter(name) {
    this.chapters.push({ name, at: this.time })
    this.state.chapter = name
  }

  /** The next caption; the one before is left until it can have been read. */
  async say(text) {
    await this.read()
    this.state.caption = text
    this.cues.push({ text, from: this.time })
  }

  /** Until the caption can have been read, and `more` seconds. */
  async read(more = 0) {
    const cue = this.cues.at(-1)
    if (!cue || cue.to !== undefined) return
    await this.hold(cue.from + readingTime(cue.text) - this.time + more)
    cue.to = this.time
  }

  /** Takes the caption away. */
  async silence() {
    await this.read()
    this.state.caption = undefined
  }

  async card(html, seconds) {
    this.state.card = { html }
    await this.hold(seconds)
  }

  async lift() {
    const { card } = this.state
    for (let opacity = 0.85; opacity > 0; opacity -= 0.17) {
      this.state.card = { ...card, opacity }
      await this.shoot()
    }
    this.state.card = undefined
  }

  // Where one looks

  /** A frame around it, once it is in sight. */
  async show(locator) {
    await this.bring(locator)
    const box = await boxOf(locator)
    const bottom = Math.min(box.y + box.height + 6, SIZE.height - STRIP - 6)
    const [x, y] = [Math.max(box.x - 6, 4), Math.max(box.y - 6, 4)]
    this.state.ring = { x, y, width: Math.min(box.width + 12, SIZE.width - x - 10), height: bottom - y - 6 }
    await this.shoot(2)
  }

  /** Scrolls until it is in sight, as high as `top` if it has to move at all. */
  async bring(locator, { top = MARGIN, always = false } = {}) {
    await locator.waitFor()
    const box = await boxOf(locator)
    const isSeen = box.y >= MARGIN - 2 && box.y + box.height <= SIZE.height - STRIP - MARGIN + 2
    this.state.ring = undefined
    if (isSeen && !always) return
    const room = SIZE.height - STRIP
    // What is small is put in the middle, what is large begins at the top.
    const wanted = always || box.height > room / 2 ? top : (room - box.height) / 2
    await this.scrollBy(box.y - wanted)
  }

  async scrollBy(distance) {
    const [from, to] = await this.page.evaluate((distance) => {
      const last = document.documentElement.scrollHeight - innerHeight
      return [scrollY, Math.max(0, Math.min(scrollY + distance, last))]
    }, distance)
    if (Math.abs(to - from) < 3) return
    for (let step = 1; step <= SCROLL_FRAMES; step++) {
      const y = between(from, to, step / SCROLL_FRAMES)
      await this.page.evaluate((y) => scrollTo({ top: y, behavior: 'instant' }), y)
      await this.shoot()
    }
  }

  /** To the top of the page at once, for a screen that was just opened. */
  async top() {
    await this.page.evaluate(() => scrollTo({ top: 0, behavior: 'instant' }))
  }

  // What one does

  async moveTo(x, y) {
    const from = this.state.pointer
    const distance = Math.hypot(x - from.x, y - from.y)
    const frames = Math.round(Math.min(Math.max(distance / MOVE.pixels, MOVE.min), MOVE.max))
    for (let step = 1; step <= frames; step++) {
      this.state.pointer = { x: between(from.x, x, step / frames), y: between(from.y, y, step / frames) }
      await this.page.mouse.move(this.state.pointer.x, this.state.pointer.y)
      await this.shoot()
    }
  }

  async point(locator) {
    await this.bring(locator)
    const box = await boxOf(locator)
    await this.moveTo(box.x + Math.min(box.width / 2, FAR), box.y + box.height / 2)
  }

  async click(locator) {
    await locator.waitFor()
    await atRest(locator)
    await this.point(locator)
    // A page that is loading may have shifted meanwhile.
    if (await atRest(locator)) await this.point(locator)
    this.state.ring = undefined
    this.state.pressed = true
    await this.shoot(2)
    const { x, y } = this.state.pointer
    await this.page.mouse.click(x, y)
    await this.shoot(1)
    this.state.pressed = false
    await this.live(0.3)
  }

  /** Types into what has the focus; `frames` is how many pictures each letter is given. */
  async type(text, frames = 2) {
    for (const letter of text) {
      await this.page.keyboard.type(letter)
      await this.shoot(frames)
    }
  }

  /** Into a field, in place of what was there. */
  async fill(locator, text, frames = 2) {
    await this.click(locator)
    await this.page.keyboard.press('Control+A')
    await this.type(text, frames)
  }

  /** One of a list that the browser itself would unroll, where no picture can be taken. */
  async choose(locator, value) {
    await this.point(locator)
    this.state.pressed = true
    await this.shoot(3)
    await locator.selectOption(value)
    this.state.pressed = false
    await this.shoot(4)
  }

  /** A file is carried over the page and dropped, as from a folder of the desktop. */
  async drop(locator, { name, type, text }) {
    await this.bring(locator)
    this.state.pointer = { x: SIZE.width - 90, y: SIZE.height - STRIP - 40 }
    this.state.carried = name
    await this.shoot(6)
    const box = await boxOf(locator)
    const data = await this.page.evaluateHandle(
      ({ name, type, text }) => {
        const transfer = new DataTransfer()
        transfer.items.add(new File([text], name, { type }))
        return transfer
      },
      { name, type, text },
    )
    await this.moveTo(box.x + box.width * 0.45, box.y + box.height * 0.5)
    await locator.dispatchEvent('dragover', { dataTransfer: data })
    await this.shoot(10)
    await locator.dispatchEvent('drop', { dataTransfer: data })
    this.state.carried = undefined
    await this.live(0.4)
  }
}

async function boxOf(locator) {
  const box = await locator.boundingBox()
  if (!box) throw new Error(`not to be seen: ${locator}`)
  return box
}

/** Waits until it no longer moves; whether it did. */
async function atRest(locator) {
  let box = await boxOf(locator)
  for (let looks = 0; ; looks++) {
    await new Promise((done) => setTimeout(done, STILL_MS))
    const now = await boxOf(locator)
    if (Math.abs(now.x - box.x) + Math.abs(now.y - box.y) < 2) return looks > 0
    box = now
  }
}
