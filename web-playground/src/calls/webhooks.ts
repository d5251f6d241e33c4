// What is sent where, and what became of it.

import { type Call, json } from '../api'
import { operation } from '../queries'
import type { Deliveries, Webhook, WebhookTest, WebhookWithSecret } from '../shapes'

export interface WebhookDefinition {
  name: string
  url: string
  kinds?: string[]
  cohorts?: string[]
  fields?: string[]
  purpose?: string
  paused?: boolean
}

/** GraphQL writes the kinds as an enum: `cohort.entered` is COHORT_ENTERED. */
const asInput = (webhook: WebhookDefinition) => ({
  ...webhook,
  ...(webhook.kinds ? { kinds: webhook.kinds.map((kind) => kind.replace('.', '_').toUpperCase()) } : {}),
})

const ofWebhook = (id: string, what = '') => `/api/webhooks/${encodeURIComponent(id)}${what}`

export const listWebhooks = (): Call<{ webhooks: Webhook[] }> => ({
  method: 'GET',
  path: '/api/webhooks',
  graphql: operation('webhooks'),
})

export const createWebhook = (webhook: WebhookDefinition): Call<WebhookWithSecret> => ({
  method: 'POST',
  path: '/api/webhooks',
  ...json(webhook),
  graphql: operation('create_webhook', { webhook: asInput(webhook) }),
})

export const changeWebhook = (id: string, webhook: WebhookDefinition): Call<Webhook> => ({
  method: 'PUT',
  path: ofWebhook(id),
  ...json(webhook),
  graphql: operation('change_webhook', { id, webhook: asInput(webhook) }),
})

export const dropWebhook = (id: string): Call<unknown> => ({ method: 'DELETE', path: ofWebhook(id) })

export const testWebhook = (id: string): Call<WebhookTest> => ({
  method: 'POST',
  path: ofWebhook(id, '/test'),
  graphql: operation('test_webhook', { id }),
})

export const rotateSecret = (id: string): Call<WebhookWithSecret> => ({
  method: 'POST',
  path: ofWebhook(id, '/rotate'),
  graphql: operation('rotate_webhook_secret', { id }),
})

export const deliveries = (id: string, limit: number, dead: boolean, before?: number): Call<Deliveries> => ({
  method: 'GET',
  path: ofWebhook(id, '/deliveries'),
  query: { limit, ...(dead ? { dead } : {}), ...(before === undefined ? {} : { before }) },
  graphql: operation('deliveries', { webhook: id, dead, ...(before === undefined ? {} : { before }) }),
})

/** Each dead letter once more, with the id that it had. */
export const replayDeadLetters = (id: string): Call<Webhook> => ({
  method: 'POST',
  path: ofWebhook(id, '/replay'),
  ...json({ dead_letters: true }),
  graphql: operation('replay_webhook', { id }),
})
