// The life of a session: it is renewed in time, once however many requests need it, and ends when the server
// says so.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

const kept = new Map<string, string>()

const answers = (status: number, body: unknown) => new Response(JSON.stringify(body), { status })

let number = 0
const tokens = () => ({
  access_token: `access-${++number}`,
  refresh_token: `refresh-${number}`,
  token_type: 'Bearer',
  expires_in: 900,
  refresh_expires_in: 604_800,
  role: 'viewer',
  scope: 'profiles:read',
})

/** What was asked, and how it is answered. */
let asked: string[]
let answer: (path: string, token: string | undefined) => Response

beforeEach(() => {
  number = 0
  asked = []
  kept.clear()
  vi.useFakeTimers()
  vi.resetModules()
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  })
  vi.stubGlobal('BroadcastChannel', undefined)
  vi.stubGlobal('navigator', {})
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    asked.push(path)
    const bearer = (init.headers as Record<string, string>).Authorization
    return answer(path, bearer?.replace('Bearer ', ''))
  })
  answer = (path) => answers(200, path.startsWith('/api/auth/') ? tokens() : { cohorts: [] })
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function loggedIn() {
  const { logIn, ...rest } = await import('../../src/session')
  await logIn('viewer', 'demo-viewer')
  return { ...rest, api: await import('../../src/calls/cohorts') }
}

describe('a session', () => {
  it('is renewed before its token ends', async () => {
    const { session } = await loggedIn()
    expect(session.peek()?.token).toBe('access-1')
    await vi.advanceTimersByTimeAsync(900_000 - 30_000)
    expect(session.peek()?.token).toBe('access-2')
    expect(asked).toEqual(['/api/auth/token', '/api/auth/refresh'])
    expect(kept.get('cdp.session')).toContain('refresh-2')
  })

  it('is renewed once for all requests whose token is refused, and they are sent again', async () => {
    const { send, api } = await loggedIn()
    answer = (path, token) => {
      if (path === '/api/auth/refresh') return answers(200, tokens())
      if (token === 'access-1') return answers(401, { error: { code: 'unauthorized', message: 'the token has expired' } })
      return answers(200, { cohorts: [] })
    }
    await Promise.all([send(api.listCohorts()), send(api.listCohorts())])
    expect(asked.filter((path) => path === '/api/auth/refresh')).toHaveLength(1)
    expect(asked.filter((path) => path === '/api/cohorts')).toHaveLength(4)
  })

  it('ends when it can not be renewed', async () => {
    const { send, session, sessionNotice, api } = await loggedIn()
    answer = () => answers(401, { error: { code: 'unauthorized', message: 'no' } })
    await expect(send(api.listCohorts())).rejects.toMatchObject({ status: 401 })
    expect(session.peek()).toBeNull()
    expect(sessionNotice.peek()).toMatch(/expired/)
    expect(kept.size).toBe(0)
  })

  it('goes on while the server is away, and is renewed when it is back', async () => {
    const { session } = await loggedIn()
    answer = () => answers(503, { error: { code: 'unavailable', message: 'later' } })
    await vi.advanceTimersByTimeAsync(870_000)
    expect(session.peek()?.token).toBe('access-1')
    answer = () => answers(200, tokens())
    await vi.advanceTimersByTimeAsync(30_000)
    expect(session.peek()?.token).toBe('access-2')
  })

  it('is ended on the server, too, when its user logs out', async () => {
    const { logOut, session } = await loggedIn()
    logOut()
    await vi.advanceTimersByTimeAsync(1)
    expect(session.peek()).toBeNull()
    expect(asked.at(-1)).toBe('/api/auth/revoke')
  })
})
