// Who is logged in, for both pages. The token lives in sessionStorage: it ends with the tab, and a log-in
// on one page counts on the other.

import { signal } from '@preact/signals'

import { createClient } from './api'
import { requestToken } from './calls/session'
import { note } from './history'
import type { Role } from './shapes'

export interface Session {
  token: string
  role: Role
  username: string
  /** Milliseconds since the epoch. */
  expiresAt: number
}

const KEY = 'cdp.session'

/** The longest delay that `setTimeout` takes, in milliseconds; a longer one would fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

export const session = signal<Session | null>(stored())

/** Why the last session ended, when its user did not end it. */
export const sessionNotice = signal<string | null>(null)

/** Sends a request as whoever is logged in; a token that is refused ends the session. */
export const send = createClient({
  token: () => session.peek()?.token,
  onUnauthorized: () => logOut('Your session has expired. Log in again to go on.'),
  onAnswered: note,
})

let expiry: ReturnType<typeof setTimeout> | undefined
watchExpiry()

export async function logIn(username: string, password: string): Promise<void> {
  const token = await send(requestToken(username, password))
  const next: Session = {
    token: token.access_token,
    role: token.role,
    username,
    expiresAt: Date.now() + token.expires_in * 1000,
  }
  sessionStorage.setItem(KEY, JSON.stringify(next))
  sessionNotice.value = null
  session.value = next
  watchExpiry()
}

export function logOut(notice: string | null = null): void {
  sessionStorage.removeItem(KEY)
  clearTimeout(expiry)
  sessionNotice.value = notice
  session.value = null
}

function watchExpiry(): void {
  clearTimeout(expiry)
  const now = session.peek()
  if (!now) return
  const left = Math.min(Math.max(now.expiresAt - Date.now(), 0), TIMEOUT_MS_MAX)
  expiry = setTimeout(() => logOut('Your session has expired. Log in again to go on.'), left)
}

function stored(): Session | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
    return found && found.expiresAt > Date.now() ? found : null
  } catch {
    return null
  }
}
