// The walkthrough as a film: drives the page, photographs it, and hands the pictures to ffmpeg.
//
//   node tests/video/film.mjs FILE.mp4      and FILE.vtt with the captions
//
// BASE_URL   a server just started with the demo's people   (default http://127.0.0.1:8080)
// CHROMIUM   the browser's binary                            (default /usr/bin/chromium)
// ONLY       a pattern: only chapters whose name fits, to try them
//
// Ends with status 1 and one sentence if a chapter cannot be told, or the film is too long, too short or too large.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { open } from './browser.mjs'
import { metadataOf, vttOf } from './captions.mjs'
import * as api from './chapters/api.mjs'
import * as classify from './chapters/classify.mjs'
import * as cohorts from './chapters/cohorts.mjs'
import * as frame from './chapters/frame.mjs'
import * as ingest from './chapters/ingest.mjs'
import * as overview from './chapters/overview.mjs'
import * as people from './chapters/people.mjs'
import * as privacy from './chapters/privacy.mjs'
import * as simulator from './chapters/simulator.mjs'
import { logIn } from '../story/support.mjs'
import { FPS, Stage } from './stage.mjs'

const TITLE = 'Customer Data Platform: a walkthrough'

/** What the film should take, in seconds, and may weigh, in bytes. */
const LENGTH = { min: 270, wanted: 308, max: 330 }
const BYTES_MAX = 15_000_000

const CHAPTERS = [
  ['What it is', overview.tell],
  ['Two visitors, one person', simulator.tell],
  ['A person, and why', people.tell],
  ['Data comes in', ingest.tell],
  ['What people like', classify.tell],
  ['Audiences', cohorts.tell],
  ['The API', api.tell],
  ['Privacy', privacy.tell],
]

const [target] = process.argv.slice(2)
if (!target) throw new Error('usage: node tests/video/film.mjs FILE.mp4')
const only = new RegExp(process.env.ONLY ?? '')

const work = await mkdtemp(join(dirname(target), '.film-'))
let step = 'starting the browser'
let browser
let encoder
try {
  const opened = await open({ filmed: true })
  browser = opened.browser
  encoder = encode(join(work, 'film.mp4'))
  const stage = new Stage({ write: encoder.write, length: LENGTH.wanted })
  await stage.use(opened.page)
  await film(stage)
  step = 'encoding'
  await encoder.end()
  await keep(stage)
} catch (error) {
  console.error(`FAILED: ${step}\n  ${error.stack}`)
  process.exitCode = 1
  encoder?.abort()
} finally {
  await browser?.close()
  await rm(work, { recursive: true, force: true })
}
// What is still open after a failure (an encoder that waits for pictures) must not keep this waiting.
process.exit()

async function film(stage) {
  step = 'the title'
  await frame.title(stage, CHAPTERS.map(([name]) => name))
  if (!only.test(CHAPTERS[0][0])) await logIn(stage.page, 'admin')
  for (const [name, tell] of CHAPTERS) {
    if (!only.test(name)) continue
    step = name
    const before = stage.time
    stage.chapter(name)
    await tell(stage)
    await stage.silence()
    console.log(`${name}: ${(stage.time - before).toFixed(1)} s`)
  }
  step = 'the end'
  await frame.end(stage)
}

/** Puts film and captions in their place, once they are as they should be. */
async function keep(stage) {
  const metadata = join(work, 'metadata.txt')
  const whole = join(work, 'whole.mp4')
  await writeFile(metadata, metadataOf(TITLE, stage.chapters, stage.time))
  const arguments_ = ['-i', join(work, 'film.mp4'), '-i', metadata, '-map_metadata', '1', '-c', 'copy', '-movflags', '+faststart', whole]
  await ffmpeg(arguments_).end()
  const { size } = await stat(whole)
  console.log(`${stage.time.toFixed(1)} s, ${(size / 1e6).toFixed(1)} MB`)
  if (size > BYTES_MAX) throw new Error(`the film weighs ${size} bytes, more than ${BYTES_MAX}`)
  const isWhole = !process.env.ONLY
  if (isWhole && (stage.time < LENGTH.min || stage.time > LENGTH.max)) throw new Error(`the film takes ${stage.time} s`)
  await writeFile(target.replace(/\.mp4$/, '.vtt'), vttOf(stage.cues))
  await rename(whole, target)
}

/** Takes JPEG pictures; each stands for `times` pictures of the film. */
function encode(file) {
  const input = ['-f', 'image2pipe', '-framerate', String(FPS), '-c:v', 'mjpeg', '-i', '-']
  // Without these flags white turns out a shade of green.
  const exact = 'flags=accurate_rnd+full_chroma_int'
  const colours = `scale=in_color_matrix=bt601:in_range=full:out_color_matrix=bt709:out_range=tv:${exact},format=yuv420p`
  const tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709']
  // The film hardly moves: a slower preset would save a tenth, and take more of the machine than all the rest.
  const video = ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-tune', 'animation', '-g', String(FPS * 10)]
  const { end, abort, stdin } = ffmpeg([...input, '-vf', colours, ...video, ...tags, '-an', '-movflags', 'frag_keyframe', file])
  const write = async (picture, times) => {
    for (let time = 0; time < times; time++) if (!stdin.write(picture)) await once(stdin, 'drain')
  }
  return { write, end, abort }
}

function ffmpeg(arguments_) {
  const running = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...arguments_], { stdio: ['pipe', 'inherit', 'inherit'] })
  const closed = once(running, 'close')
  return {
    stdin: running.stdin,
    abort: () => running.kill(),
    async end() {
      running.stdin.end()
      const [code] = await closed
      if (code !== 0) throw new Error(`ffmpeg ended with ${code}`)
    },
  }
}
