import { execFileSync } from 'node:child_process'

import { describe, expect, it } from 'vitest'

import { listCohorts } from '../../src/calls/cohorts'
import { ingest } from '../../src/calls/ingest'
import { requestToken } from '../../src/calls/session'
import { quote, toCurl } from '../../src/curl'

describe('curl', () => {
  it('fills the token in by the shell', () => {
    expect(toCurl(listCohorts(), 'http://localhost:8080')).toBe(
      'curl \'http://localhost:8080/api/cohorts\' \\\n  -H "Authorization: Bearer $TOKEN"',
    )
  })

  it('needs no token to get one', () => {
    expect(toCurl(requestToken('admin', 'x'), 'http://localhost')).not.toContain('$TOKEN')
  })

  it('sends a file from the disk', () => {
    const file = new File(['cookie\n'], "people's.csv")
    expect(toCurl(ingest(file, 'text/csv'), 'http://localhost')).toContain(`--data-binary '@people'\\''s.csv'`)
  })

  it.each(["it's", '$(id) `id` "x" \\', 'two\nlines', "''"])('quotes %j so that a shell gives it back', (text) => {
    expect(execFileSync('sh', ['-c', `printf %s ${quote(text)}`], { encoding: 'utf8' })).toBe(text)
  })
})
