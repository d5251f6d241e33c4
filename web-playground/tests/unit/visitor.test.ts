import { describe, expect, it } from 'vitest'

import { toCurl } from '../../src/curl'
import { logIn, newVisitor, see } from '../../src/visitor'

interface Body {
  writeKey: string
  anonymousId: string
  batch: Record<string, unknown>[]
}

const bodyOf = (body: unknown) => JSON.parse(String(body)) as Body

describe('a visitor of the simulator', () => {
  it('has a cookie that nobody else has', () => {
    const cookies = new Set(Array.from({ length: 50 }, () => newVisitor().cookie))
    expect(cookies.size).toBe(50)
  })

  it('says what they look at, and who they are only when they log in', () => {
    const visitor = { cookie: 'c1', email: 'a@example.com' }
    const seen = bodyOf(see(visitor, { page: '/tent', interests: ['camping'] }).body)
    expect(seen).toMatchObject({ anonymousId: 'c1', batch: [{ type: 'page', properties: { interests: ['camping'] } }] })
    expect(JSON.stringify(seen)).not.toContain('a@example.com')
    const told = bodyOf(logIn(visitor, 'a@example.com').body)
    expect(told).toMatchObject({ anonymousId: 'c1', batch: [{ type: 'identify', userId: 'a@example.com' }] })
    expect(told.batch[0]?.messageId).not.toBe(seen.batch[0]?.messageId)
  })

  it('sends as the page of a website does: with a write key, an origin, and nobody logged in', () => {
    const call = see({ cookie: 'c1' }, { page: '/tent', interests: [] })
    expect(call).toMatchObject({ path: '/collect', anonymous: true, ofWebsite: true })
    expect(bodyOf(call.body).writeKey).toMatch(/^cdp_pk_/)
    expect(toCurl(call, 'http://localhost')).toContain("-H 'Origin: http://localhost'")
  })
})
