import { describe, expect, it } from 'vitest'

import { logIn, newVisitor, see } from '../../src/visitor'

const recordOf = (body: unknown) => JSON.parse(String(body)) as Record<string, unknown>

describe('a visitor of the simulator', () => {
  it('has a cookie that nobody else has', () => {
    const cookies = new Set(Array.from({ length: 50 }, () => newVisitor().cookie))
    expect(cookies.size).toBe(50)
  })

  it('says what they look at, and who they are only once they logged in', () => {
    const visitor = { cookie: 'c1' }
    const call = see(visitor, { page: '/tent', interests: ['camping'] })
    expect(recordOf(call.body)).toMatchObject({ cookie: 'c1', interests: ['camping'], properties: { page: '/tent' } })
    expect(recordOf(call.body)).not.toHaveProperty('email')
    expect(recordOf(logIn(visitor, 'a@example.com').body)).toMatchObject({ cookie: 'c1', email: 'a@example.com' })
  })
})
