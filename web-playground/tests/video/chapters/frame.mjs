// The first and the last picture.

import { readFile } from 'node:fs/promises'

const mark = await readFile(new URL('../../../src/mark.svg', import.meta.url), 'utf8')
const logo = mark.replace('<svg', '<svg class="mark"')

export async function title(stage, chapters) {
  const list = chapters.map((name, index) => `<li><b>${index + 1}</b> ${name}</li>`).join('')
  await stage.card(
    `${logo}<h1>Customer Data Platform</h1><p>From scattered visits to people you know. The whole of it in five minutes.</p><ul>${list}</ul>`,
    6,
  )
  await stage.lift()
}

export async function end(stage) {
  stage.state.chapter = undefined
  stage.state.ring = undefined
  await stage.card(
    `${logo}<h1>Try it yourself</h1><p>One program, no cloud account. This builds it, invents 2,000 people, and opens all that you have seen:</p><pre>make run</pre><p>docs/DEMO.md walks through it, step by step.</p>`,
    7,
  )
}
