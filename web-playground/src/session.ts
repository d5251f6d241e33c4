// Who is logged in, for both pages. The tokens live in sessionStorage: they end with the tab, and a log-in
// on one page counts on the other. A token is good for minutes, and is renewed before it ends; tabs that were
// opened from one another share a session, and tell each other, since each refresh token is good once.

import { signal } from '@preact/signals'

import { ApiError, createClient, type Send } from './api'
import { renewToken, requestToken, revokeToken } from './calls/session'
import { note } from './history'
import type { Role, Token } from './shapes'

export interface Session {
  token: string
  refreshToken: string
  /** The same in all tabs that share the session. */
  family: string
  role: Role
  username: string
  /** Milliseconds since the epoch. */
  expiresAt: number
  /** When the refresh token ends, likewise. */
  renewableUntil: number
}

const KEY = 'cdp.session'

/** A token is renewed so long before it ends, in milliseconds, or at half of its time if that is less. */
const RENEW_BEFORE_MS = 60_000

/** The longest delay that `setTimeout` takes, in milliseconds; a longer one would fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

const EXPIRED = 'Your session has expired. Log in again to go on.'

export const session = signal<Session | null>(stored())

/** Why the last session ended, when its user did not end it. */
export const sessionNotice = signal<string | null>(null)

const client = createClient({
  token: () => session.peek()?.token,
  // Whether a refusal ends the session, `send` decides.
  onUnauthorized: () => {},
  onAnswered: note,
})

/** Sends a request as whoever is logged in; a token that is refused is renewed once, or the session ends. */
export const send: Send = async (call, signal) => {
  if (call.anonymous) return client(call, signal)
  await renewIfOver()
  const asked = session.peek()?.token
  try {
    return await client(call, signal)
  } catch (cause) {
    if (!(cause instanceof ApiError) || cause.status !== 401) throw cause
    if (!(await renewInPlaceOf(asked))) throw cause
    return client(call, signal)
  }
}

interface Told {
  family: string
  session: Session | null
}

/** What tabs that share a session tell each other. */
const tabs = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(KEY)
tabs?.addEventListener('message', ({ data }: MessageEvent<Told>) => {
  if (data.family === session.peek()?.family) keep(data.session)
})

let timer: ReturnType<typeof setTimeout> | undefined
let renewing: Promise<boolean> | undefined
watch()

export async function logIn(username: string, password: string): Promise<void> {
  keep(sessionOf(await client(requestToken(username, password)), username, `${Date.now()}.${Math.random()}`))
  sessionNotice.value = null
}

export function logOut(notice: string | null = null): void {
  const before = session.peek()
  sessionNotice.value = notice
  keep(null)
  if (!before) return
  tabs?.postMessage({ family: before.family, session: null } satisfies Told)
  // Whether the server hears of it or not, this page is logged out.
  client(revokeToken(before.refreshToken)).catch(() => {})
}

/** Renews a token that was refused, unless that was done meanwhile. Without success the session ends. */
export async function renewInPlaceOf(refused: string | undefined): Promise<boolean> {
  const now = session.peek()
  if (!now) return false
  if (now.token !== refused) return true
  renewing ??= oneTabAtATime(now).finally(() => (renewing = undefined))
  return renewing
}

/** Browsers lock on https and on this machine only; elsewhere two tabs seldom meet. */
async function oneTabAtATime(now: Session): Promise<boolean> {
  if (!navigator.locks) return renew(now)
  return navigator.locks.request(KEY, async () => {
    // What the tab before has told is on its way.
    await new Promise((resolve) => setTimeout(resolve, 20))
    return session.peek()?.token === now.token ? renew(now) : session.peek() !== null
  })
}

/** Renews a token whose time is over: of a machine that slept, no timer fires. */
export async function renewIfOver(): Promise<void> {
  const now = session.peek()
  if (now && now.expiresAt <= Date.now()) await renewInPlaceOf(now.token)
}

async function renew(now: Session): Promise<boolean> {
  try {
    const next = sessionOf(await client(renewToken(now.refreshToken)), now.username, now.family)
    // It was logged out meanwhile.
    if (session.peek()?.family !== now.family) return false
    keep(next)
    tabs?.postMessage({ family: now.family, session: next } satisfies Told)
    return true
  } catch (cause) {
    const isOver = cause instanceof ApiError && (cause.status === 401 || now.renewableUntil <= Date.now())
    if (session.peek()?.refreshToken !== now.refreshToken) return session.peek() !== null
    if (isOver) logOut(EXPIRED)
    else watch(RENEW_BEFORE_MS / 4)
    return false
  }
}

function sessionOf(token: Token, username: string, family: string): Session {
  return {
    token: token.access_token,
    refreshToken: token.refresh_token,
    family,
    role: token.role,
    username,
    expiresAt: Date.now() + token.expires_in * 1000,
    renewableUntil: Date.now() + token.refresh_expires_in * 1000,
  }
}

function keep(next: Session | null): void {
  if (next) sessionStorage.setItem(KEY, JSON.stringify(next))
  else sessionStorage.removeItem(KEY)
  session.value = next
  watch()
}

/** Renews the token in time; `delay` is for another try after one that failed. */
function watch(delay?: number): void {
  clearTimeout(timer)
  const now = session.peek()
  if (!now) return
  const left = Math.max(now.expiresAt - Date.now(), 0)
  // Tabs that share a session had better not do it at the same moment.
  const due = (left - Math.min(RENEW_BEFORE_MS, left / 2)) * (0.95 + Math.random() / 20)
  timer = setTimeout(() => renewInPlaceOf(now.token), Math.min(delay ?? due, TIMEOUT_MS_MAX))
}

function stored(): Session | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
    return found && found.renewableUntil > Date.now() ? found : null
  } catch {
    return null
  }
}
