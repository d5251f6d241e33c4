// A visitor of the simulated shop, and what their browser tells the platform of them. This is the one place
// that knows how: today as records for `POST /api/ingest`, sent as whoever is logged in.

import type { Call } from './api'
import { ingest } from './calls/ingest'
import type { IngestReport } from './shapes'

export interface Visitor {
  /** The first-party cookie of this browser. */
  cookie: string
  /** Who they logged in as, if they did. */
  email?: string
}

export interface PageView {
  /** The path of the page, for example `/tent`. */
  page: string
  interests: string[]
}

/** Who sends what the simulator sends. */
const SOURCE = 'simulator'

const COOKIE_BYTES = 10

/** Somebody whom no browser has seen before. */
export function newVisitor(): Visitor {
  const bytes = crypto.getRandomValues(new Uint8Array(COOKIE_BYTES))
  return { cookie: `sim${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}` }
}

/** They look at a page. Once they are logged in, their address comes along. */
export const see = (visitor: Visitor, { page, interests }: PageView): Call<IngestReport> =>
  send(visitor, { interests, properties: { page } })

/** They log in: this is what ties the cookie to the address. */
export const logIn = (visitor: Visitor, email: string): Call<IngestReport> =>
  send({ ...visitor, email }, { properties: { page: '/log-in' } })

function send({ cookie, email }: Visitor, seen: Record<string, unknown>): Call<IngestReport> {
  const record = { cookie, ...(email ? { email } : {}), timestamp: new Date().toISOString(), ...seen }
  return ingest(JSON.stringify(record), 'application/json', { source: SOURCE })
}
