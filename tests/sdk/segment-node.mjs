// Segment's library for Node.js, as npm has it.

import assert from 'node:assert/strict'

import { Analytics } from '@segment/analytics-node'

import { BASE_URL, SERVER_KEY, eventually, names, tell, user } from './lib.mjs'

const make = (more = {}) => new Analytics({ writeKey: SERVER_KEY, host: BASE_URL, flushInterval: 100, ...more })

await tell({
  async 'a person is who identify says'() {
    const analytics = make()
    analytics.identify({
      anonymousId: 'node-anonymous-1',
      userId: 'node-user-1',
      traits: {
        email: 'node@example.com',
        name: 'Nora Node',
        phone: '+15551234567',
        address: { city: 'Austin', state: 'TX', country: 'US' },
        age: 33,
        plan: 'pro',
        interests: ['football', 'chess'],
      },
    })
    analytics.track({ anonymousId: 'node-anonymous-1', event: 'Product Viewed', properties: { category: 'nike shoes' } })
    analytics.page({ anonymousId: 'node-anonymous-1', name: 'Home', properties: { path: '/' } })
    analytics.screen({ anonymousId: 'node-anonymous-1', name: 'Start' })
    analytics.group({ anonymousId: 'node-anonymous-1', groupId: 'g-1', traits: { name: 'Initech' } })
    await analytics.closeAndFlush()
    const found = await user({ email: 'node@example.com' })
    assert.equal(found.first_name, 'Nora')
    assert.equal(found.last_name, 'Node')
    assert.equal(found.location, 'Austin, Texas, USA')
    assert.equal(found.demographics.age, 33)
    assert.equal(found.phone_number, '+15551234567')
    assert.deepEqual([...found.interests].sort(), ['chess', 'football', 'nike shoes'])
    const told = await names(found.id)
    for (const name of ['Product Viewed', 'identify', 'page', 'screen', 'group']) assert.ok(told.includes(name), name)
  },

  async 'what a server knows by its own id is the same person'() {
    const analytics = make()
    analytics.track({ userId: 'node-user-1', event: 'Order Completed', properties: { interests: 'tennis; golf' } })
    await analytics.closeAndFlush()
    const [cookie, email] = [await user({ cookie: 'user:node-user-1' }), await user({ email: 'node@example.com' })]
    assert.equal(cookie.id, email.id)
    assert.ok(email.interests.includes('tennis') && email.interests.includes('golf'))
    assert.ok((await names(email.id)).includes('Order Completed'))
  },

  async 'a second device is tied by the id alone'() {
    const analytics = make()
    analytics.track({ anonymousId: 'node-anonymous-2', userId: 'node-user-1', event: 'App Opened' })
    await analytics.closeAndFlush()
    const [phone, email] = [await user({ cookie: 'node-anonymous-2' }), await user({ email: 'node@example.com' })]
    assert.equal(phone.id, email.id)
  },

  async 'alias makes two ids one person'() {
    const analytics = make()
    analytics.track({ anonymousId: 'node-before', event: 'Visited', properties: { category: 'surfing' } })
    await analytics.flush()
    analytics.alias({ previousId: 'node-before', userId: 'alias@example.com' })
    await analytics.flush()
    analytics.alias({ previousId: 'alias@example.com', userId: 'alias-new@example.com' })
    await analytics.closeAndFlush()
    const [before, old, now] = await Promise.all([
      user({ cookie: 'node-before' }),
      user({ email: 'alias@example.com' }),
      user({ email: 'alias-new@example.com' }),
    ])
    assert.ok(before && before.id === old.id && old.id === now.id)
  },

  async 'many batches at once are all there, once'() {
    const analytics = make({ flushAt: 10 })
    const failed = []
    analytics.on('error', error => failed.push(error))
    for (let n = 0; n < 300; n += 1) {
      const event = { anonymousId: `node-many-${n % 30}`, event: 'Clicked', messageId: `many-${n}` }
      analytics.track(event)
      if (n % 10 === 0) analytics.track(event)
    }
    await analytics.closeAndFlush()
    assert.deepEqual(failed, [])
    for (let n = 0; n < 30; n += 1) {
      const found = await user({ cookie: `node-many-${n}` })
      assert.equal((await names(found.id)).length, 10, `node-many-${n}`)
    }
  },

  async 'a bad event keeps no other from being stored, and is not sent again'() {
    const analytics = make()
    const answers = []
    analytics.on('http_response', ({ status }) => answers.push(status))
    analytics.track({ anonymousId: 'null', event: 'Nobody' })
    analytics.identify({ anonymousId: 'node-bad', traits: { email: 'no address' } })
    analytics.track({ anonymousId: 'node-good', event: 'Somebody' })
    await analytics.closeAndFlush()
    assert.ok(answers.every(status => status === 200), answers.join())
    assert.ok(await user({ cookie: 'node-good' }))
    assert.equal(await user({ cookie: 'node-bad' }), null)
  },

  async 'a key that nobody knows is refused, and its events are given up'() {
    const analytics = make({ writeKey: 'nobody-knows-it', maxRetries: 5 })
    const failed = []
    analytics.on('error', error => failed.push(error))
    analytics.track({ anonymousId: 'node-stranger', event: 'Denied' })
    await analytics.closeAndFlush()
    await eventually('the library hears of it', () => failed.length)
    assert.equal(await user({ cookie: 'node-stranger' }), null)
  },
})
