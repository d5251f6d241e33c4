import { describe, expect, it } from 'vitest'

import { pathAndQuery } from '../../src/api'
import {
  addUser,
  auditLog,
  endSession,
  listSessions,
  makeWriteKey,
  originsOf,
  revokeWriteKey,
} from '../../src/calls/administration'
import { isLink, reasonOf } from '../../src/refused'
import { shortened } from '../../src/ui/words'

describe('administration', () => {
  it('asks for the sessions of one user', () => {
    expect(pathAndQuery(listSessions('ann@example.com'))).toBe('/api/auth/sessions?user=ann%40example.com')
  })

  it('names what it ends in the path, whatever its signs', () => {
    expect(endSession('a/b').path).toBe('/api/auth/sessions/a%2Fb')
    expect(revokeWriteKey('a b').path).toBe('/api/write-keys/a%20b')
  })

  it('pages through the audit log by time, with the question kept', () => {
    expect(pathAndQuery(auditLog({ user: 'ann' }, 20))).toBe('/api/audit?user=ann&limit=20')
    const next = auditLog({ user: 'ann' }, 20, '2026-01-01T00:00:00Z')
    expect(pathAndQuery(next)).toBe('/api/audit?user=ann&until=2026-01-01T00%3A00%3A00Z&limit=20')
    expect(next.graphql?.variables).toEqual({ user: 'ann', until: '2026-01-01T00:00:00Z', first: 20 })
  })

  it('sends a user and a key as they were typed', () => {
    expect(addUser({ name: 'ann', role: 'analyst', password: 'long enough!' }).body).toBe(
      '{"name":"ann","role":"analyst","password":"long enough!"}',
    )
    expect(makeWriteKey({ kind: 'server', source: 'crm' }).body).toBe('{"kind":"server","source":"crm"}')
  })

  it('reads websites with commas, spaces and a slash too many', () => {
    expect(originsOf(' https://a.example/, https://b.example\nhttps://c.example')).toEqual([
      'https://a.example',
      'https://b.example',
      'https://c.example',
    ])
    expect(originsOf('  ')).toEqual([])
  })

  it('shortens what is long, and nothing else', () => {
    expect(shortened('/api/users')).toBe('/api/users')
    expect(shortened('x'.repeat(64))).toBe(`${'x'.repeat(28)}…`)
  })
})

describe('what guards refused', () => {
  it('can be judged where it is a link, and not where it is a placeholder', () => {
    expect(isLink({ cookie: 'c', email: 'a@example.com' })).toBe(true)
    expect(isLink({ cookie: 'undefined', email: null })).toBe(false)
  })

  it('says why, also of a kind that is newer than the page', () => {
    expect(reasonOf('too_many_emails')).toContain('shared computer')
    expect(reasonOf('quite_new')).toBe('quite new')
  })
})
