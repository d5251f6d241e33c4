import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { columnsOf, FIELDS, fieldOf } from '../../src/ingest/mapping'

describe('the names of columns', () => {
  it('are those that the server knows', () => {
    const rust = readFileSync(new URL('../../../src/ingest/fields.rs', import.meta.url), 'utf8')
    const table = /const SYNONYMS[^=]*= &\[(.*?)\n\];/s.exec(rust)?.[1] ?? ''
    const names = Object.fromEntries([...rust.matchAll(/pub const (\w+): &str = "(\w+)"/g)].map(([, key, value]) => [key, value]))
    const there: Record<string, string[]> = {}
    for (const [, field = '', others = ''] of table.matchAll(/\(\s*("?[\w.]+"?),\s*&\[(.*?)\]/gs)) {
      const name = field.startsWith('"') ? field.slice(1, -1) : (names[field] ?? field)
      there[name] = [...others.matchAll(/"([^"]+)"/g)].map(([, one]) => one ?? '')
    }
    expect(FIELDS).toEqual(there)
  })

  it.each<[string, string | undefined]>([
    ['Visitor ID', 'cookie'],
    ['firstName', 'first_name'],
    ['E-Mail-Adresse', 'email'],
    ['location.region', 'location.state'],
    ['location.age', undefined],
    ['properties.plan', 'properties.plan'],
    ['Shoe size', undefined],
  ])('%s is read as %s', (column, field) => {
    expect(fieldOf(column)).toBe(field)
  })
})

describe('the columns of a payload', () => {
  it('are seen with some of their values, whatever separates them', () => {
    expect(columnsOf('Kunde;E-Mail;Notiz\nk1;a@b.de;"x; ""y"""\nk2;c@d.de;', 'csv')).toEqual([
      { name: 'Kunde', field: undefined, samples: ['k1', 'k2'] },
      { name: 'E-Mail', field: 'email', samples: ['a@b.de', 'c@d.de'] },
      { name: 'Notiz', field: undefined, samples: ['x; "y"'] },
    ])
  })

  it('are the keys of objects, also of a list that was cut', () => {
    const whole = '[{"cookie":"a","location":{"city":"Rome"},"interests":["x","y"]},{"cookie":"b"}]'
    const expected = [
      ['cookie', 'cookie'],
      ['location.city', 'location.city'],
      ['interests', 'interests'],
    ]
    expect(columnsOf(whole, 'json').map(({ name, field }) => [name, field])).toEqual(expected)
    expect(columnsOf(whole.slice(0, -5), 'json').map(({ name, field }) => [name, field])).toEqual(expected)
  })

  it('of a header alone have no values', () => {
    expect(columnsOf('cookie,email', 'csv')).toEqual([
      { name: 'cookie', field: 'cookie', samples: [] },
      { name: 'email', field: 'email', samples: [] },
    ])
  })
})
