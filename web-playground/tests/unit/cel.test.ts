import { readFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { completionsAt, FIELDS, faultOf, FUNCTIONS } from '../../src/cel/language'

const labels = (before: string) => completionsAt(before, ['Sports', 'Food & Drink'])?.words.map(({ label }) => label)

describe('completion', () => {
  it('knows what the documentation lists', () => {
    const docs = readFileSync(new URL('../../../docs/COHORTS.md', import.meta.url), 'utf8')
    for (const { label } of FIELDS) {
      const last = label.replace('profile.', '').replace(/\.$/, '').split('.').at(-1) ?? ''
      expect(docs, label).toMatch(new RegExp(`\`\\.?(profile\\.|location\\.)?(\\w+\\.)?${last}[\`.]`))
    }
    for (const name of ['within', 'upcoming', 'days_since', 'anniversary', 'visits_within']) {
      expect(docs).toContain(`\`${name}(`)
      expect(FUNCTIONS.map(({ label }) => label)).toContain(name)
    }
  })

  it('offers fields where one begins, functions behind a time, and cohorts inside quotes', () => {
    expect(labels('prof')).toContain('profile.age')
    expect(completionsAt('a && prof', [])?.from).toBe(5)
    expect(labels('profile.last_seen.wi')).toContain('within')
    expect(labels('"Sp')).toEqual(['Sports', 'Food & Drink'])
    expect(labels('"Sports" in co')).toContain('cohorts')
    expect(completionsAt('profile.age < ', [])).toBeUndefined()
  })
})

describe('the place of a mistake', () => {
  it('is the word at that line and column', () => {
    expect(faultOf('line 1, column 8: `agee` is unknown', 'profile.agee > 3')).toEqual({ from: 7, to: 12, message: '`agee` is unknown' })
    expect(faultOf('line 2, column 1: no', 'a ||\nbc')).toEqual({ from: 5, to: 7, message: 'no' })
  })

  it('is all of it when none is told, and never behind the end', () => {
    expect(faultOf('too long', 'abc')).toEqual({ from: 0, to: 3, message: 'too long' })
    expect(faultOf('line 1, column 9: ends too early', 'abc')).toMatchObject({ from: 3, to: 3 })
  })
})
