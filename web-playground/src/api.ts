// Every request the page can make, and the one place where an answer becomes a value or an `ApiError`.
//
// A request is data (`Call`) before it is sent, so that the `curl` shown beside it is the request itself
// and not a second description of it. To add one: a function below, and its answer in `shapes.ts`.

import type {
  BatchQuality,
  Classification,
  Cohort,
  CohortPage,
  ErrorBody,
  IngestReport,
  InterestHits,
  SimilarUsers,
  Suggestions,
  Token,
  UserHits,
  UserProfile,
} from './shapes'

/** A request that answers with a `T`. */
export interface Call<T> {
  method: 'GET' | 'POST'
  path: string
  query?: Record<string, string | number>
  contentType?: string
  body?: string | File
  /** Statuses beside 2xx whose body is an answer and not an error. */
  accepts?: number[]
  /** Sent without a token: how one is got. */
  anonymous?: boolean
  /** Only for the compiler: keeps `T` from being forgotten. */
  answers?: T
}

const json = (value: unknown) => ({ contentType: 'application/json', body: JSON.stringify(value) })

export const requestToken = (username: string, password: string): Call<Token> => ({
  method: 'POST',
  path: '/api/auth/token',
  anonymous: true,
  ...json({ username, password }),
})

export const renewToken = (refreshToken: string): Call<Token> => ({
  method: 'POST',
  path: '/api/auth/refresh',
  anonymous: true,
  ...json({ refresh_token: refreshToken }),
})

/** Ends the session; the answer has no body. */
export const revokeToken = (refreshToken: string): Call<undefined> => ({
  method: 'POST',
  path: '/api/auth/revoke',
  anonymous: true,
  ...json({ refresh_token: refreshToken }),
})

/** When every row is bad the status is 422, and the body still says what is wrong with each. */
export const ingest = (body: string | File, contentType: string): Call<IngestReport> => ({
  method: 'POST',
  path: '/api/ingest',
  contentType,
  body,
  accepts: [422],
})

export const batchQuality = (batch: string): Call<BatchQuality> => ({
  method: 'GET',
  path: `/api/ingest/${encodeURIComponent(batch)}/quality`,
})

export const lookUp = (by: 'cookie' | 'email', value: string): Call<{ user_profile: UserProfile }> => ({
  method: 'GET',
  path: '/api/user',
  query: { [by]: value, include: 'identities,scores,provenance' },
})

export const listCohorts = (): Call<{ cohorts: Cohort[] }> => ({ method: 'GET', path: '/api/cohorts' })

export const cohortUsers = (cohort: string, limit: number, cursor?: string): Call<CohortPage> => ({
  method: 'GET',
  path: '/api/cohort/users',
  query: { cohort, limit, ...(cursor === undefined ? {} : { cursor }) },
})

/** What people are searched for by; what is empty is not asked. */
export interface Question {
  q?: string
  cohort?: string
  city?: string
  country?: string
  interest?: string
}

export const searchUsers = (question: Question, limit: number, offset = 0): Call<UserHits> => {
  const asked = Object.entries({ ...question, q: question.q?.trim() }).filter(([, value]) => value)
  return {
    method: 'GET',
    path: '/api/users/search',
    query: { ...Object.fromEntries(asked), limit, ...(offset > 0 ? { offset } : {}) },
  }
}

export const suggest = (q: string): Call<Suggestions> => ({ method: 'GET', path: '/api/search/suggest', query: { q } })

export const similarInterests = (interest: string, limit: number): Call<InterestHits> => ({
  method: 'GET',
  path: '/api/interests/similar',
  query: { interest, limit },
})

export const similarUsers = (id: string, limit: number): Call<SimilarUsers> => ({
  method: 'GET',
  path: '/api/user/similar',
  query: { id, limit },
})

export const classify = (texts: string[]): Call<{ results: Classification[] }> => ({
  method: 'POST',
  path: '/api/classify',
  ...json({ texts }),
})

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
}

export type Send = <T>(call: Call<T>, signal?: AbortSignal) => Promise<T>

export function createClient(options: ClientOptions): Send {
  const doFetch = options.fetch ?? ((input, init) => fetch(input, init))
  return async (call, signal) => {
    let response: Response
    try {
      response = await doFetch(pathAndQuery(call), {
        method: call.method,
        headers: headersOf(call, options.token()),
        ...(call.body === undefined ? {} : { body: call.body }),
        ...(signal ? { signal } : {}),
      })
    } catch (cause) {
      if (signal?.aborted) throw cause
      throw new ApiError(0, 'unreachable', 'The server did not answer. Check that it is running, then try again.')
    }
    if (response.status === 401 && !call.anonymous) options.onUnauthorized()
    return answerOf(call, response)
  }
}

/** Path and query as they go over the wire. */
export function pathAndQuery(call: Call<unknown>): string {
  const query = Object.entries(call.query ?? {}).map(
    // A comma is legal in a query, and a list reads better with it.
    ([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2C', ',')}`,
  )
  return query.length === 0 ? call.path : `${call.path}?${query.join('&')}`
}

function headersOf(call: Call<unknown>, token: string | undefined): Record<string, string> {
  return {
    Accept: 'application/json',
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
  const isAnswer = response.ok || call.accepts?.includes(response.status)
  if (isAnswer && body !== undefined && !isErrorBody(body)) return body as T
  throw errorOf(response, body)
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
