// Segment's library for browsers, as npm has it, in a real one: told nothing but where this server is.

import assert from 'node:assert/strict'

import { launch, serveSite } from './browser.mjs'
import { BASE_URL, PUBLIC_KEY, eventually, names, post, tell, user } from './lib.mjs'

const page = key => `<!doctype html><link rel="icon" href="data:,"><title>Shop</title>
<script src="/npm/@segment/analytics-next/dist/umd/index.js"></script>
<script>
  window.failed = []
  const load = (more = {}, options = {}) => {
    window.analytics = AnalyticsNext.AnalyticsBrowser.load({ writeKey: '${key}', cdnURL: '${BASE_URL}', ...more }, options)
  }
</script>`

const site = await serveSite({ '/': page(PUBLIC_KEY), '/other': page(PUBLIC_KEY) })
const browser = await launch()

async function visit(run, argument) {
  const context = await browser.newContext()
  const tab = await context.newPage()
  const [complaints, calls] = [[], []]
  tab.on('console', message => message.type() === 'error' && complaints.push(message.text()))
  tab.on('response', answer => calls.push(`${answer.status()} ${new URL(answer.url()).pathname}`))
  await tab.goto(site)
  const result = await tab.evaluate(run, argument)
  await tab.waitForLoadState('networkidle')
  return { result, complaints, calls, context, tab }
}

await tell({
  async 'all its calls, one by one'() {
    const { result, complaints, calls } = await visit(async () => {
      load()
      await analytics.page('Shop', 'Home')
      await analytics.track('Product Viewed', { category: 'sneakers' })
      await analytics.identify('next-user', { email: 'next@example.com', firstName: 'Nina', interests: ['climbing'] })
      await analytics.group('next-group', { name: 'Crew' })
      await analytics.screen('Start')
      await analytics.track('Signed In')
      return (await analytics.user()).anonymousId()
    })
    assert.deepEqual(complaints, [])
    for (const call of ['p', 't', 'i', 'g', 's']) assert.ok(calls.includes(`200 /v1/${call}`), `${call} in ${calls}`)
    const found = await eventually('the person', () => user({ email: 'next@example.com' }))
    assert.equal(found.first_name, 'Nina')
    assert.equal((await user({ cookie: result })).id, found.id)
    await eventually('all events', async () => {
      const told = await names(found.id)
      return ['Product Viewed', 'Signed In', 'group', 'identify', 'page', 'screen'].every(name => told.includes(name))
    })
    const interests = (await user({ email: 'next@example.com' })).interests
    assert.ok(interests.includes('sneakers') && interests.includes('climbing'), interests.join())
  },

  async 'in batches'() {
    const { result, complaints, calls } = await visit(async () => {
      load({}, { integrations: { 'Segment.io': { deliveryStrategy: { strategy: 'batching', config: { size: 4, timeout: 200 } } } } })
      await Promise.all([1, 2, 3, 4, 5, 6].map(n => analytics.track(`Step ${n}`)))
      await new Promise(done => setTimeout(done, 600))
      return (await analytics.user()).anonymousId()
    })
    assert.deepEqual(complaints, [])
    assert.ok(calls.includes('200 /v1/b'), calls.join())
    const found = await eventually('the visitor', () => user({ cookie: result }))
    await eventually('all steps', async () => (await names(found.id)).length === 6)
  },

  async 'alias ties what a visitor did before'() {
    const { result } = await visit(async () => {
      load()
      await analytics.track('Looked Around', { category: 'kayaks' })
      const before = (await analytics.user()).anonymousId()
      await analytics.alias('next-alias@example.com', before)
      return before
    })
    const found = await eventually('the address', () => user({ email: 'next-alias@example.com' }))
    await eventually('the two are one', async () => (await user({ cookie: result }))?.id === found.id)
  },

  async 'from a site that the key is not for, nothing is taken'() {
    const { text } = await post('/api/write-keys', { source: 'elsewhere', kind: 'public', origins: ['https://shop.example'] })
    const { result, calls } = await visit(async key => {
      const error = await AnalyticsNext.AnalyticsBrowser.load({ writeKey: key, cdnURL: location.origin.replace(/:\d+$/, ''), cdnSettings: { integrations: {} } })
        .then(() => null, String)
      return error
    }, text)
    assert.equal(result, null)
    assert.ok(!calls.some(call => call.startsWith('200 /v1/')))
    const refused = await fetch(`${BASE_URL}/v1/t`, {
      method: 'POST',
      headers: { origin: site, 'content-type': 'text/plain' },
      body: JSON.stringify({ writeKey: text, anonymousId: 'elsewhere-1', event: 'Denied' }),
    })
    assert.equal(refused.status, 403)
    assert.equal(await user({ cookie: 'elsewhere-1' }), null)
  },
})
