// The GraphQL operations of the repository's `queries/`, which the server's own tests run: what the page
// shows and sends is what stands there.

import type { GraphqlText } from './api'

/** Each by the path of its file. */
export const QUERIES: Record<string, string> = import.meta.glob('../../queries/*.graphql', {
  eager: true,
  query: '?raw',
  import: 'default',
})

/** The operation of that file, with its variables. */
export function operation(file: string, variables: Record<string, unknown> = {}): GraphqlText {
  const query = QUERIES[`../../queries/${file}.graphql`]
  if (query === undefined) throw new Error(`there is no operation ${file}`)
  return { query, variables }
}
