import { describe, expect, it } from 'vitest'

import { EXAMPLES, type Format, formatOfFile, formatOfText } from '../../src/ingest/payload'

describe('the format of a text', () => {
  it.each(Object.entries(EXAMPLES))('of the %s example is recognised', (format, text) => {
    expect(formatOfText(text)).toBe(format)
  })

  it.each<[string, Format | undefined]>([
    ['[{"cookie":"a"}]', 'json'],
    ['{"cookie":"a"}', 'json'],
    ['{"cookie":"a"}\n{"cookie":"b"}\n', 'ndjson'],
    ['{\n"cookie":"a"}', 'json'],
    ['"cookie","location.city"\na,b', 'csv'],
    ['', undefined],
    ['hello', undefined],
  ])('of %j is %s', (text, format) => {
    expect(formatOfText(text)).toBe(format)
  })
})

describe('the format of a file', () => {
  it.each<[string, Format | undefined]>([
    ['shop export.CSV', 'csv'],
    ['events.jsonl', 'ndjson'],
    ['notes.txt', undefined],
  ])('%s is %s', (name, format) => {
    expect(formatOfFile(name)).toBe(format)
  })
})
