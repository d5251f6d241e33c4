// GraphiQL itself, with its workers and styles from this bundle: nothing comes from another host.

import './workers'
import '@graphiql/react/style.css'
import '@graphiql/plugin-doc-explorer/style.css'
import '@graphiql/plugin-history/style.css'
import 'graphiql/graphiql.css'

import { HISTORY_PLUGIN } from '@graphiql/plugin-history'
import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { GraphiQL } from 'graphiql'
import { createClient } from 'graphql-ws'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'

import { renewIfOver, renewInPlaceOf, session } from '../session'
import { OPERATIONS_PLUGIN } from './operations'

const FIRST_QUERY = `# Ctrl+Enter runs the query; Ctrl+Space completes. The docs, and saved operations, are at the left.
{
  cohorts {
    name
    size
  }
}
`

const authorization = (): Record<string, string> => {
  const token = session.peek()?.token
  return token ? { Authorization: `Bearer ${token}` } : {}
}

/** GraphQL over HTTP as whoever is logged in now; a header set in the editor wins. */
const authorisedFetch: typeof fetch = async (input, init) => {
  await renewIfOver()
  const asked = session.peek()?.token
  const ask = () => fetch(input, { ...init, headers: { ...authorization(), ...(init?.headers as Record<string, string>) } })
  const response = await ask()
  return response.status === 401 && (await renewInPlaceOf(asked)) ? ask() : response
}

const fetcher = createGraphiQLFetcher({
  url: '/graphql',
  fetch: authorisedFetch,
  enableIncrementalDelivery: false,
  wsClient: createClient({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
    connectionParams: async () => {
      await renewIfOver()
      return authorization()
    },
  }),
})

/** What is to be in the editor, when somebody brought something along. */
export interface Brought {
  query?: string | undefined
  variables?: string | undefined
}

/** Shows GraphiQL in `place`, and returns how to take it away again. */
export function mountEditor(place: Element, { query, variables }: Brought = {}): () => void {
  const root = createRoot(place)
  root.render(
    createElement(GraphiQL, {
      fetcher,
      defaultQuery: FIRST_QUERY,
      plugins: [HISTORY_PLUGIN, OPERATIONS_PLUGIN],
      shouldPersistHeaders: false,
      // What is brought along is for now: remembered, it would take the place of what somebody wrote.
      ...(query ? { initialQuery: query, storage: forgetful() } : {}),
      ...(variables ? { initialVariables: variables } : {}),
    }),
  )
  return () => root.unmount()
}

/** A storage that keeps things for as long as the editor is on the page. */
function forgetful(): Storage {
  const kept = new Map<string, string>()
  return {
    get length() {
      return kept.size
    },
    key: (index) => [...kept.keys()][index] ?? null,
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
    clear: () => kept.clear(),
  }
}
