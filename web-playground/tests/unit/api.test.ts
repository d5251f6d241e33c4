import { describe, expect, it, vi } from 'vitest'

import { ApiError, createClient, pathAndQuery } from '../../src/api'
import { classify } from '../../src/calls/classify'
import { cohortUsers, listCohorts } from '../../src/calls/cohorts'
import { ingest } from '../../src/calls/ingest'
import { lookUp, searchUsers } from '../../src/calls/people'
import { requestToken } from '../../src/calls/session'

type FetchArguments = [path: string, init: RequestInit & { headers: Record<string, string> }]

/** A client whose server gives one answer, and what was asked of it. */
function clientOf(status: number, body: string, headers: Record<string, string> = {}) {
  const asked = vi.fn(async (..._: FetchArguments) => new Response(body, { status, headers }))
  const onUnauthorized = vi.fn()
  const send = createClient({ token: () => 'secret', onUnauthorized, fetch: asked as unknown as typeof fetch })
  return { send, asked, onUnauthorized }
}

const failure = async (promise: Promise<unknown>): Promise<ApiError> => {
  const error = await promise.then(() => undefined, (cause: unknown) => cause)
  expect(error).toBeInstanceOf(ApiError)
  return error as ApiError
}

describe('what is sent', () => {
  it('carries the token, but not where a token is asked for', async () => {
    const { send, asked } = clientOf(200, '{"cohorts":[]}')
    await send(listCohorts())
    await send(requestToken('admin', 'x'))
    expect(asked.mock.calls[0]?.[1].headers.Authorization).toBe('Bearer secret')
    expect(asked.mock.calls[1]?.[1].headers).not.toHaveProperty('Authorization')
  })

  it('escapes what people type', () => {
    expect(pathAndQuery(lookUp('email', 'a+b&c=d@example.com'))).toBe(
      '/api/user?email=a%2Bb%26c%3Dd%40example.com&include=identities,scores,provenance',
    )
    expect(pathAndQuery(cohortUsers('food & drink', 20))).toBe('/api/cohort/users?cohort=food%20%26%20drink&limit=20')
    expect(pathAndQuery(cohortUsers('sports', 20, 'a/b='))).toContain('cursor=a%2Fb%3D')
  })

  it('leaves out what is not asked of people', () => {
    expect(pathAndQuery(searchUsers({}, 20))).toBe('/api/users/search?limit=20')
    expect(pathAndQuery(searchUsers({ q: ' ann ', cohort: '', city: 'São Paulo' }, 20, 40))).toBe(
      '/api/users/search?q=ann&city=S%C3%A3o%20Paulo&limit=20&offset=40',
    )
  })

  it('names the content type of a payload', async () => {
    const { send, asked } = clientOf(200, '{"status":"success","records_processed":1}')
    await send(ingest('cookie\nabc', 'text/csv'))
    expect(asked.mock.calls[0]?.[1]).toMatchObject({ method: 'POST', body: 'cookie\nabc' })
    expect(asked.mock.calls[0]?.[1].headers['Content-Type']).toBe('text/csv')
  })
})

describe('what comes back', () => {
  it('is a report when every row is bad, though the status is 422', async () => {
    const { send } = clientOf(422, '{"status":"error","records_processed":0,"errors":[{"row":1,"code":"c","message":"m"}]}')
    await expect(send(ingest('[]', 'application/json'))).resolves.toMatchObject({ status: 'error' })
  })

  it('is an error when a 422 carries one', async () => {
    const { send } = clientOf(422, '{"error":{"code":"all_rejected","message":"every row was refused"}}')
    expect(await failure(send(ingest('[]', 'application/json')))).toMatchObject({ code: 'all_rejected' })
  })

  it('keeps code, field and request id of an error', async () => {
    const body = '{"error":{"code":"bad_request","message":"too many","field":"texts"}}'
    const { send } = clientOf(400, body, { 'x-request-id': 'r-1' })
    const error = await failure(send(classify([])))
    expect(error).toMatchObject({ status: 400, code: 'bad_request', message: 'too many', field: 'texts', requestId: 'r-1' })
  })

  it('is an error too when it is not JSON', async () => {
    expect(await failure(clientOf(502, '<html>').send(listCohorts()))).toMatchObject({ status: 502, code: 'unexpected' })
    expect(await failure(clientOf(200, '<html>').send(listCohorts()))).toMatchObject({ code: 'unexpected' })
  })

  it('ends the session on 401, but not when the password was wrong', async () => {
    const refused = '{"error":{"code":"unauthorized","message":"log in"}}'
    const stale = clientOf(401, refused)
    await failure(stale.send(listCohorts()))
    expect(stale.onUnauthorized).toHaveBeenCalledOnce()
    const wrong = clientOf(401, refused)
    await failure(wrong.send(requestToken('admin', 'x')))
    expect(wrong.onUnauthorized).not.toHaveBeenCalled()
  })

  it('says so when no answer comes', async () => {
    const send = createClient({
      token: () => undefined,
      onUnauthorized: () => {},
      fetch: () => Promise.reject(new TypeError('Failed to fetch')),
    })
    expect(await failure(send(listCohorts()))).toMatchObject({ status: 0, code: 'unreachable' })
  })
})
