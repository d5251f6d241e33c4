// What all programs here share: the server that they talk to, and a look at what became of people.

import assert from 'node:assert/strict'

const { BASE_URL, SERVER_KEY, PUBLIC_KEY } = process.env
assert.ok(BASE_URL && SERVER_KEY && PUBLIC_KEY, 'BASE_URL, SERVER_KEY and PUBLIC_KEY say whom to talk to')
export { BASE_URL, SERVER_KEY, PUBLIC_KEY }

/** How long something may take to be there that was not answered before it was. */
const WAIT_MS = 15_000

let token

async function api(path, options = {}) {
  token ??= await (
    await fetch(`${BASE_URL}/api/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: 'demo-admin' }),
    })
  ).json()
  const headers = { authorization: `Bearer ${token.access_token}`, 'content-type': 'application/json' }
  return fetch(`${BASE_URL}${path}`, { headers, ...options })
}

/** The answer to a GET. */
export async function get(path) {
  const answer = await api(path)
  assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`)
  return answer.json()
}

export async function post(path, body) {
  const answer = await api(path, { method: 'POST', body: JSON.stringify(body) })
  assert.ok(answer.ok, `${path}: ${await answer.clone().text()}`)
  return answer.json()
}

/** The person whom an address or a cookie leads to; nobody where there is none. */
export async function user(by) {
  const query = new URLSearchParams({ ...by, include: 'identities' })
  const answer = await api(`/api/user?${query}`)
  if (answer.status === 404) return null
  const found = (await answer.json()).user_profile
  return { ...found, id: found.identities.id, interests: found.interests ?? [] }
}

/** What holds, once it does. */
export async function eventually(what, look) {
  const until = Date.now() + WAIT_MS
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(Date.now() < until, `in time: ${what}`)
    await new Promise(done => setTimeout(done, 50))
  }
}

/** The events of a person's history, latest first, as they were sent. */
export async function events(id) {
  const { entries } = await get(`/api/profiles/${id}/timeline?limit=200`)
  return entries.filter(entry => entry.record).map(entry => JSON.parse(entry.record.verbatim))
}

/** The names of what a person did, and the kinds of the other events. */
export async function names(id) {
  return (await events(id)).map(event => event.event ?? event.type).sort()
}

/** Runs a program's steps, and says which one failed. */
export async function tell(steps) {
  for (const [step, run] of Object.entries(steps)) {
    try {
      await run()
      console.log(`ok      ${step}`)
    } catch (error) {
      console.error(`failed  ${step}\n${error.stack}`)
      process.exit(1)
    }
  }
  process.exit(0)
}
