// GraphiQL itself, with its workers and styles from this bundle: nothing comes from another host.

import './workers'
import '@graphiql/react/style.css'
import '@graphiql/plugin-doc-explorer/style.css'
import '@graphiql/plugin-history/style.css'
import 'graphiql/graphiql.css'

import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { GraphiQL } from 'graphiql'
import { createClient } from 'graphql-ws'
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'

import { logOut, session } from '../session'

const FIRST_QUERY = `# Ctrl+Enter runs the query; Ctrl+Space completes. The docs are at the left.
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
  const headers = { ...authorization(), ...(init?.headers as Record<string, string>) }
  const response = await fetch(input, { ...init, headers })
  if (response.status === 401) logOut('Your session has expired. Log in again to go on.')
  return response
}

const fetcher = createGraphiQLFetcher({
  url: '/graphql',
  fetch: authorisedFetch,
  enableIncrementalDelivery: false,
  wsClient: createClient({
    url: `${location.origin.replace(/^http/, 'ws')}/graphql`,
    connectionParams: authorization,
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
