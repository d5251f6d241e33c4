// Who may log in, who is logged in, which keys send records, and who did what.

import { type Call, json } from '../api'
import { operation } from '../queries'
import type { AuditPage, LogInSession, NewWriteKey, Role, User, WriteKey } from '../shapes'

const ofUser = (name: string) => `/api/auth/users/${encodeURIComponent(name)}`

export const listUsers = (): Call<{ users: User[] }> => ({ method: 'GET', path: '/api/auth/users' })

export const addUser = (user: { name: string; role: Role; password: string }): Call<User> => ({
  method: 'POST',
  path: '/api/auth/users',
  ...json(user),
})

/** Ends the user's sessions, too. */
export const changeUser = (name: string, change: { role?: Role; disabled?: boolean }): Call<User> => ({
  method: 'PUT',
  path: ofUser(name),
  ...json(change),
})

export const removeUser = (name: string): Call<unknown> => ({ method: 'DELETE', path: ofUser(name) })

/** One's own, or those of the user that is named. */
export const listSessions = (user: string): Call<{ sessions: LogInSession[] }> => ({
  method: 'GET',
  path: '/api/auth/sessions',
  query: { user },
})

export const endSession = (id: string): Call<unknown> => ({
  method: 'DELETE',
  path: `/api/auth/sessions/${encodeURIComponent(id)}`,
})

export const listWriteKeys = (): Call<{ write_keys: WriteKey[] }> => ({ method: 'GET', path: '/api/write-keys' })

export interface WriteKeyDraft {
  kind: WriteKey['kind']
  source: string
  label?: string
  /** Of a public key: the websites that may use it. */
  origins?: string[]
}

/** Origins as they were typed: with commas, spaces or a slash too many. */
export const originsOf = (text: string): string[] =>
  text
    .split(/[\s,]+/)
    .map((origin) => origin.replace(/\/+$/, ''))
    .filter(Boolean)

/** The answer has the key's text, which is not shown again. */
export const makeWriteKey = (draft: WriteKeyDraft): Call<NewWriteKey> => ({
  method: 'POST',
  path: '/api/write-keys',
  ...json(draft),
})

export const revokeWriteKey = (id: string): Call<unknown> => ({
  method: 'DELETE',
  path: `/api/write-keys/${encodeURIComponent(id)}`,
})

export interface AuditQuestion {
  user?: string
  action?: string
  /** About whom. */
  email?: string
}

/** The newest first; `until` is the `next_until` of the page before. */
export const auditLog = (question: AuditQuestion, limit: number, until?: string): Call<AuditPage> => {
  const asked = { ...question, ...(until ? { until } : {}) }
  return {
    method: 'GET',
    path: '/api/audit',
    query: { ...asked, limit },
    graphql: operation('audit_log', { ...asked, first: limit }),
  }
}
