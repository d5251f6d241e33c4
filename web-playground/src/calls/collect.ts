// What websites send of their visitors, with a write key (docs/COLLECTING.md).

import { type Call, json } from '../api'

/** An event in the words of Segment's libraries. */
export interface Event {
  type: 'page' | 'identify'
  messageId: string
  timestamp: string
  userId?: string
  traits?: Record<string, unknown>
  properties?: Record<string, unknown>
}

export interface Collected {
  success: boolean
  /** The visitor's id; none where they are not to be followed, and nothing was stored. */
  id?: string
}

/**
 * Events of one visitor, whom the body names. The collector's own cookie counts before that, and this
 * browser has one cookie for all its pages, so none is sent and none is kept.
 */
export const collect = (writeKey: string, anonymousId: string, batch: Event[]): Call<Collected> => ({
  method: 'POST',
  path: '/collect',
  anonymous: true,
  ofWebsite: true,
  ...json({ writeKey, anonymousId, sentAt: new Date().toISOString(), batch }),
})
