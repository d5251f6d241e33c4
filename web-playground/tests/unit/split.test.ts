import { describe, expect, it } from 'vitest'

import type { Format } from '../../src/ingest/payload'
import { PART_ROWS_MAX, type Part, Splitter, UnreadableFile } from '../../src/ingest/split'

/** The parts of a text that comes in chunks of that many bytes. */
function parts(format: Format, text: string, chunk = 7): Part[] {
  const bytes = new TextEncoder().encode(text)
  const splitter = new Splitter(format)
  const found: Part[] = []
  for (let at = 0; at < bytes.length; at += chunk) found.push(...splitter.push(bytes.slice(at, at + chunk)))
  return [...found, ...splitter.end()]
}

const bodies = async (found: Part[]) => Promise.all(found.map(({ body }) => body.text()))

describe('a file in parts', () => {
  it.each([1, 2, 3, 5, 64])('keeps rows whole, however it comes (%i bytes at a time)', async (chunk) => {
    const csv = 'cookie,note\na,"one ""two"", and\na line"\nb,5" pipe\n\nc,"",\n'
    const found = parts('csv', csv, chunk)
    expect(found.map(({ firstRow, rows }) => [firstRow, rows])).toEqual([[1, 3]])
    expect(await bodies(found)).toEqual(['cookie,note\na,"one ""two"", and\na line"\nb,5" pipe\nc,"",\n'])
  })

  it('gives each part of a table its header, and numbers its rows', async () => {
    const rows = Array.from({ length: PART_ROWS_MAX + 2 }, (_, n) => `c${n}`)
    const found = parts('csv', `cookie\n${rows.join('\n')}`, 4096)
    expect(found.map(({ firstRow, rows: count }) => [firstRow, count])).toEqual([
      [1, PART_ROWS_MAX],
      [PART_ROWS_MAX + 1, 2],
    ])
    expect((await bodies(found))[1]).toBe(`cookie\nc${PART_ROWS_MAX}\nc${PART_ROWS_MAX + 1}\n`)
  })

  it('splits lines of JSON', async () => {
    expect(await bodies(parts('ndjson', '{"cookie":"a"}\r\n\n{"cookie":"b"}'))).toEqual(['{"cookie":"a"}\r\n{"cookie":"b"}\n'])
  })

  it.each([1, 4, 100])('splits a list, whatever is in its texts (%i bytes at a time)', async (chunk) => {
    const list = ' [ {"cookie":"a]\\"},{","x":[1,{"y":2}]} , {"cookie":"b"} ] \n'
    const found = parts('json', list, chunk)
    expect(found.map(({ rows }) => rows)).toEqual([2])
    expect(JSON.parse((await bodies(found))[0] ?? '')).toEqual([{ cookie: 'a]"},{', x: [1, { y: 2 }] }, { cookie: 'b' }])
  })

  it('says so when a JSON file is no list', () => {
    expect(() => parts('json', '{"data":[]}')).toThrow(UnreadableFile)
  })

  it('makes nothing of nothing', () => {
    expect(parts('csv', 'cookie\n')).toEqual([])
    expect(parts('json', '[]')).toEqual([])
  })
})
