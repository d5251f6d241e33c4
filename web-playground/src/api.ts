// A request as data, the client that sends it, and the one place where an answer becomes a value or an
// `ApiError`.
//
// A request is data (`Call`) before it is sent, so that the `curl` shown beside it is the request itself
// and not a second description of it. The requests that there are stand in `calls/`.

import type { ErrorBody } from './shapes'

export type QueryValue = string | number | boolean

/** A question in GraphQL. */
export interface GraphqlText {
  query: string
  variables: Record<string, unknown>
}

/** A request that answers with a `T`. */
export interface Call<T> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /** A list becomes one argument for each of its values. */
  query?: Record<string, QueryValue | QueryValue[]>
  headers?: Record<string, string>
  contentType?: string
  body?: string | Blob
  /** What a body that comes from the disk is called there. */
  fileName?: string
  /** Statuses beside 2xx whose body is an answer and not an error. */
  accepts?: number[]
  /** Sent without a token: how one is got, and what has a key of its own. */
  anonymous?: boolean
  /** Sent as by the page of a website: with its origin, and without this browser's cookies. */
  ofWebsite?: boolean
  /** The same asked in GraphQL, to be shown and copied. */
  graphql?: GraphqlText
  /** Only for the compiler: keeps `T` from being forgotten. */
  answers?: T
}

export const json = (value: unknown) => ({ contentType: 'application/json', body: JSON.stringify(value) })

/** A question that only GraphQL answers; the answer is what stands under `data`. */
export const askGraphql = <T>(graphql: GraphqlText): Call<T> => ({
  method: 'POST',
  path: GRAPHQL_PATH,
  ...json(graphql),
  graphql,
})

const GRAPHQL_PATH = '/graphql'

/** A request that got no answer of the kind it asked for. `status` is 0 when none came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly requestId?: string,
  ) {
    super(message)
    this.name = 'ApiError'
  }
}

export interface ClientOptions {
  token: () => string | undefined
  /** Called when the server no longer accepts the token. */
  onUnauthorized: () => void
  fetch?: typeof fetch
  /** Told of each request and of its status, 0 when there was no answer. */
  onAnswered?: (call: Call<unknown>, status: number, tookMs: number) => void
}

export type Send = <T>(call: Call<T>, signal?: AbortSignal) => Promise<T>

export function createClient(options: ClientOptions): Send {
  const doFetch = options.fetch ?? ((input, init) => fetch(input, init))
  return async (call, signal) => {
    let response: Response
    const started = performance.now()
    const answered = (status: number) => options.onAnswered?.(call, status, performance.now() - started)
    try {
      response = await doFetch(pathAndQuery(call), {
        method: call.method,
        headers: headersOf(call, options.token()),
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(call.ofWebsite ? { credentials: 'omit' as const } : {}),
        ...(signal ? { signal } : {}),
      })
    } catch (cause) {
      if (signal?.aborted) throw cause
      answered(0)
      throw new ApiError(0, 'unreachable', 'The server did not answer. Check that it is running, then try again.')
    }
    answered(response.status)
    if (response.status === 401 && !call.anonymous) options.onUnauthorized()
    return answerOf(call, response)
  }
}

/** Path and query as they go over the wire. */
export function pathAndQuery(call: Call<unknown>): string {
  const query = Object.entries(call.query ?? {}).flatMap(([key, value]) =>
    // A comma is legal in a query, and a list reads better with it.
    [value].flat().map((one) => `${key}=${encodeURIComponent(one).replaceAll('%2C', ',')}`),
  )
  return query.length === 0 ? call.path : `${call.path}?${query.join('&')}`
}

function headersOf(call: Call<unknown>, token: string | undefined): Record<string, string> {
  return {
    Accept: 'application/json',
    ...call.headers,
    ...(call.contentType ? { 'Content-Type': call.contentType } : {}),
    ...(token && !call.anonymous ? { Authorization: `Bearer ${token}` } : {}),
  }
}

async function answerOf<T>(call: Call<T>, response: Response): Promise<T> {
  const text = await response.text()
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  // Some answers say no more than that it is done.
  if (response.ok && text === '') return undefined as T
  if (call.path === GRAPHQL_PATH && response.ok) return dataOf(response, body)
  const isAnswer = response.ok || call.accepts?.includes(response.status)
  if (isAnswer && body !== undefined && !isErrorBody(body)) return body as T
  throw errorOf(response, body)
}

/** GraphQL answers 200 to what it refuses, too. */
function dataOf<T>(response: Response, body: unknown): T {
  const { data, errors } = (body ?? {}) as { data?: T; errors?: GraphqlError[] }
  const [first] = errors ?? []
  if (!first) return data as T
  const { code = 'graphql', field } = first.extensions ?? {}
  const requestId = response.headers.get('x-request-id') ?? undefined
  throw new ApiError(response.status, code, first.message, field, requestId)
}

interface GraphqlError {
  message: string
  extensions?: { code?: string; field?: string }
}

function errorOf(response: Response, body: unknown): ApiError {
  const requestId = response.headers.get('x-request-id') ?? undefined
  if (isErrorBody(body)) {
    const { code, message, field } = body.error
    return new ApiError(response.status, code, message, field ?? undefined, requestId)
  }
  const message = response.ok
    ? 'The server answered with something that is not JSON.'
    : `The server answered ${response.status}${response.statusText ? ` ${response.statusText}` : ''}.`
  return new ApiError(response.status, 'unexpected', message, undefined, requestId)
}

function isErrorBody(body: unknown): body is ErrorBody {
  const error = (body as Partial<ErrorBody> | null | undefined)?.error
  return typeof error === 'object' && error !== null && typeof error.message === 'string'
}
