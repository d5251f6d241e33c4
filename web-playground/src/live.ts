// What happens, as it happens: GraphQL subscriptions over one WebSocket, in `graphql-transport-ws`.

import { effect, signal } from '@preact/signals'
import type { Client } from 'graphql-ws'
import { useEffect } from 'preact/hooks'

import { renewIfOver, session } from './session'

export const PROFILE_MERGED =
  'subscription ProfileMerged($after: String) {\n  profileMerged(after: $after) {\n    cursor\n    at\n    absorbed\n    survivor\n  }\n}\n'

export const PROFILE_CHANGED =
  'subscription ProfileChanged($after: String) {\n  profileChanged(after: $after) {\n    cursor\n    at\n    profileId\n    rev\n    created\n  }\n}\n'

export const COHORT_CHANGED =
  'subscription CohortChanged($cohort: String, $after: String) {\n  cohortChanged(cohort: $cohort, after: $after) {\n    cursor\n    at\n    profileId\n    entered\n    reason\n    cohort {\n      slug\n      name\n    }\n  }\n}\n'

export interface ProfileMerged {
  profileMerged: { cursor: string; at: string; absorbed: string; survivor: string }
}

export interface ProfileChanged {
  profileChanged: { cursor: string; at: string; profileId: string; rev: number; created: boolean }
}

export interface CohortChanged {
  cohortChanged: {
    cursor: string
    at: string
    profileId: string
    entered: boolean
    reason: string[]
    cohort: { slug: string; name: string }
  }
}

export type LiveState = 'off' | 'connecting' | 'live' | 'lost'

/** How the connection fares, for a small mark on the screens that live by it. */
export const liveState = signal<LiveState>('off')

/** How the server closes a connection whose token has ended. */
const CLOSE_EXPIRED = 4401

/** A pause before another connection with a renewed token, in milliseconds. */
const RENEWED_PAUSE_MS = 1_000

/** The longest pause before another try, in milliseconds. */
const RETRY_MS_MAX = 15_000

let client: Promise<Client> | undefined

/** A connection belongs to whoever is logged in; another session makes its own. */
effect(() => {
  if (session.value) return
  void client?.then((old) => old.dispose())
  client = undefined
})

async function connect(): Promise<Client> {
  const { createClient } = await import('graphql-ws')
  return createClient({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
    connectionParams: async () => {
      await renewIfOver()
      return { Authorization: `Bearer ${session.peek()?.token ?? ''}` }
    },
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => session.peek() !== null,
    retryWait: (retries) => new Promise((done) => setTimeout(done, Math.min(500 * 2 ** retries, RETRY_MS_MAX))),
    on: {
      connecting: () => (liveState.value = liveState.peek() === 'lost' ? 'lost' : 'connecting'),
      connected: () => (liveState.value = 'live'),
      closed: (event) => (liveState.value = (event as CloseEvent).wasClean ? 'off' : 'lost'),
    },
  })
}

/** Tells `onNext` of each event until the function that it returns is called. */
export function subscribe<T extends object>(
  query: string,
  variables: Record<string, unknown>,
  onNext: (data: T) => void,
): () => void {
  let stop: (() => void) | undefined
  let stopped = false
  let pause: ReturnType<typeof setTimeout> | undefined
  // After a break the same object is sent again: with the last cursor in it nothing is missed.
  const payload = { query, variables: { ...variables } }
  const begin = () => {
    client ??= connect()
    void client.then((connected) => {
      if (stopped) return
      stop = connected.subscribe<T>(payload, {
        next: ({ data }) => {
          if (!data) return
          const [event] = Object.values(data) as { cursor?: string }[]
          if (event?.cursor) payload.variables.after = event.cursor
          onNext(data)
        },
        error: (cause) => {
          liveState.value = 'lost'
          // A connection lasts as long as the token that it began with; the session goes on with another.
          const isOver = (cause as Partial<CloseEvent> | undefined)?.code === CLOSE_EXPIRED
          if (isOver && !stopped && session.peek()) pause = setTimeout(begin, RENEWED_PAUSE_MS)
        },
        complete: () => {},
      })
    })
  }
  begin()
  return () => {
    stopped = true
    clearTimeout(pause)
    stop?.()
  }
}

/** The same for as long as a component is on the page, and anew when `key` changes. */
export function useSubscription<T extends object>(
  query: string,
  variables: Record<string, unknown>,
  onNext: (data: T) => void,
  key: string = JSON.stringify(variables),
): void {
  useEffect(() => subscribe(query, variables, onNext), [query, key])
}
