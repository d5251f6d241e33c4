import { describe, expect, it } from 'vitest'

import { isMasked, keyOf } from '../../src/masked'

describe('a value that is hidden from a role', () => {
  it.each(['a***@m***.com', '***', 'dk***', 'a***@m***.co.uk'])('%s is an outline', (value) => {
    expect(isMasked(value)).toBe(true)
  })

  it.each(['a@example.com', 'dk5h2p9s7f3j8m1n4v0x', '', 'five***stars', undefined])('%s is none', (value) => {
    expect(isMasked(value)).toBe(false)
  })

  it('leads nowhere; the id does', () => {
    expect(keyOf({ email: 'a***@m***.com', cookie: 'dk***' }, 'p1')).toEqual({ id: 'p1' })
    expect(keyOf({ email: 'a***@m***.com', cookie: 'dk***' })).toBeUndefined()
    expect(keyOf({ email: 'a@example.com' }, 'p1')).toEqual({ email: 'a@example.com' })
    expect(keyOf({ cookie: 'c' }, 'p1')).toEqual({ cookie: 'c' })
  })
})
