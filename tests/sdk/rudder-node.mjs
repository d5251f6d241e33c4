// RudderStack's library for Node.js, as npm has it: gzip, and the key as a user name.

import assert from 'node:assert/strict'

import RudderAnalytics from '@rudderstack/rudder-sdk-node'

import { BASE_URL, SERVER_KEY, names, tell, user } from './lib.mjs'

const make = (more = {}) =>
  new RudderAnalytics(SERVER_KEY, { dataPlaneUrl: BASE_URL, flushInterval: 100, logLevel: 'error', ...more })

/** Sends all that waits, and fails when it is not taken. */
async function flushed(client) {
  do await client.flush()
  while (client.queue.length)
  await client.pendingFlush
}

const calls = client => {
  client.identify({
    anonymousId: 'rudder-anonymous-1',
    userId: 'rudder-user-1',
    traits: { email: 'rudder@example.com', firstName: 'Rita', lastName: 'Rudder', city: 'Berlin', interests: 'sailing' },
  })
  client.track({ userId: 'rudder-user-1', event: 'Order Completed', properties: { category: 'boats' } })
  client.page({ anonymousId: 'rudder-anonymous-1', name: 'Home' })
  client.screen({ anonymousId: 'rudder-anonymous-1', name: 'Start' })
  client.group({ anonymousId: 'rudder-anonymous-1', groupId: 'crew', traits: { name: 'Crew' } })
  client.alias({ previousId: 'rudder-anonymous-0', userId: 'rudder-user-1' })
}

await tell({
  async 'all its calls are one person'() {
    const client = make({ flushAt: 50 })
    client.track({ anonymousId: 'rudder-anonymous-0', event: 'Visited', properties: { interests: ['knots'] } })
    await flushed(client)
    calls(client)
    await flushed(client)
    const found = await user({ email: 'rudder@example.com' })
    assert.equal(found.first_name, 'Rita')
    assert.equal((await user({ cookie: 'rudder-anonymous-0' })).id, found.id)
    assert.equal(found.location, 'Berlin')
    const told = await names(found.id)
    for (const name of ['identify', 'page', 'screen', 'group']) assert.ok(told.includes(name), `${name} in ${told}`)
  },

  async 'what is known by its own id only is the same person'() {
    const client = make()
    client.track({ userId: 'rudder-user-1', event: 'Came Back' })
    await flushed(client)
    const [email, server] = await Promise.all([user({ email: 'rudder@example.com' }), user({ cookie: 'user:rudder-user-1' })])
    assert.equal(server.id, email.id)
    assert.ok((await names(email.id)).includes('Came Back'))
  },

  async 'without gzip, too'() {
    const client = make({ gzip: false })
    client.track({ anonymousId: 'rudder-plain', event: 'Plain' })
    await flushed(client)
    assert.deepEqual(await names((await user({ cookie: 'rudder-plain' })).id), ['Plain'])
  },
})
