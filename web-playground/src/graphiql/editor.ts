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

/** Shows GraphiQL in `place`, and returns how to take it away again. */
export function mountEditor(place: Element): () => void {
  const root = createRoot(place)
  root.render(
    createElement(GraphiQL, {
      fetcher,
      defaultQuery: FIRST_QUERY,
      plugins: [HISTORY_PLUGIN, OPERATIONS_PLUGIN],
      shouldPersistHeaders: false,
    }),
  )
  return () => root.unmount()
}
