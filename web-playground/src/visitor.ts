// A visitor of the simulated shop, and what their browser tells the collector of them, as the snippet of a
// website would. Each simulated browser has a cookie of its own, which stands in the body of what it sends.

import type { Call } from './api'
import { collect, type Collected, type Event } from './calls/collect'

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

/** The public write key of every demo. Other servers refuse it. */
const DEMO_KEY = 'cdp_pk_demo_everybody_knows_this_one'

const ID_BYTES = 10

/** Somebody whom no browser has seen before. */
export const newVisitor = (): Visitor => ({ cookie: `sim${random()}` })

/** They look at a page. */
export const see = (visitor: Visitor, { page, interests }: PageView): Call<Collected> =>
  tell(visitor, { type: 'page', properties: { path: page, interests } })

/** They log in: this is what ties the cookie to the address. */
export const logIn = (visitor: Visitor, email: string): Call<Collected> =>
  tell(visitor, { type: 'identify', userId: email, traits: { email } })

function tell({ cookie }: Visitor, event: Pick<Event, 'type' | 'userId' | 'traits' | 'properties'>): Call<Collected> {
  const timestamp = new Date().toISOString()
  return collect(DEMO_KEY, cookie, [{ ...event, messageId: `sim-${random()}`, timestamp }])
}

function random(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES))
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
