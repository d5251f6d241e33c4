// The snippet on a shop's page, in a real browser: two profiles of it become one person.

import assert from 'node:assert/strict'

import { launch, serveSite } from './browser.mjs'
import { BASE_URL, PUBLIC_KEY, eventually, events, names, tell, user } from './lib.mjs'

const shop = (attributes = '') => `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Shoe shop</title>
<script>(window.cdp = window.cdp || []).push(['track', 'Before It Was There'])</script>
<script async src="${BASE_URL}/collect.js" data-key="${PUBLIC_KEY}" ${attributes}></script>
<h1 data-cdp-page-interest="running">Running</h1>
<button id="nike" data-cdp-interest="nike shoes"><b>Nike</b></button>
<a id="next" href="/socks">Socks</a>`

const site = await serveSite({ '/': shop(), '/socks': shop(), '/ask': shop('data-consent="required"') })
const browser = await launch()

/** A browser that was never here. */
async function visitor(options = {}, path = '/') {
  const context = await browser.newContext(options.context)
  if (options.init) await context.addInitScript(options.init)
  const tab = await context.newPage()
  const sent = []
  tab.on('request', request => request.url() === `${BASE_URL}/collect` && sent.push(request.postData()))
  await tab.goto(site + path)
  await tab.waitForFunction(() => typeof window.cdp?.id === 'function')
  return { context, tab, sent }
}

const known = tab => eventually('the visitor has an id', () => tab.evaluate(() => localStorage.cdp_id && cdp.id()))
const cookie = async context => (await context.cookies(BASE_URL)).find(({ name }) => name === 'cdp_id')

await tell({
  async 'the script is small and loads from anywhere'() {
    const answer = await fetch(`${BASE_URL}/collect.js`, { headers: { 'accept-encoding': 'gzip' } })
    assert.equal(answer.status, 200)
    assert.match(answer.headers.get('content-type'), /^text\/javascript/)
    assert.equal(answer.headers.get('cross-origin-resource-policy'), 'cross-origin')
    const { gzipSync } = await import('node:zlib')
    assert.ok(gzipSync(await answer.text()).length < 3000)
  },

  async 'a visit is known by a cookie that the server set'() {
    const { context, tab } = await visitor()
    const id = await known(tab)
    const { value, httpOnly, sameSite, expires } = await cookie(context)
    assert.equal(value, id)
    assert.ok(httpOnly && sameSite === 'Lax')
    const days = (expires - Date.now() / 1000) / 86_400
    assert.ok(days > 390 && days < 400, `${days} days`)
    await tab.click('#nike b')
    await tab.evaluate(() => cdp.interest(['trail running', 'marathon']))
    await tab.evaluate(() => history.pushState({}, '', '/sale?page=2'))
    const found = await eventually('the visitor', () => user({ cookie: id }))
    await eventually('all events', async () => (await names(found.id)).join() === 'Before It Was There,Interest,Interest,page,page')
    const { interests } = await user({ cookie: id })
    assert.deepEqual([...interests].sort(), ['marathon', 'nike shoes', 'running', 'trail running'])
    const pages = (await events(found.id)).filter(({ type }) => type === 'page')
    assert.deepEqual(pages.map(({ properties }) => properties.path + properties.search), ['/sale?page=2', '/'])
    // The copy is lost, and the cookie is not: the same visitor.
    await tab.evaluate(() => localStorage.clear())
    await tab.goto(`${site}/socks`)
    assert.equal(await known(tab), id)
  },

  async 'what is done just before a page is left arrives'() {
    const { tab } = await visitor()
    const id = await known(tab)
    await tab.evaluate(() => {
      cdp.track('Left')
      location.href = '/socks'
    })
    await eventually('it arrives', async () => {
      const found = await user({ cookie: id })
      return found && (await names(found.id)).includes('Left')
    })
  },

  async 'two browsers that log in are one person'() {
    const [laptop, phone] = [await visitor(), await visitor()]
    const ids = [await known(laptop.tab), await known(phone.tab)]
    assert.notEqual(ids[0], ids[1])
    await laptop.tab.evaluate(() => cdp.interest('hiking'))
    await phone.tab.evaluate(() => cdp.interest('yoga'))
    const before = await eventually('both are there', async () => {
      const both = await Promise.all(ids.map(id => user({ cookie: id })))
      return both.every(one => one?.interests.some(interest => ['hiking', 'yoga'].includes(interest))) && both
    })
    assert.notEqual(before[0].id, before[1].id)
    await laptop.tab.evaluate(() => cdp.identify('snippet@example.com', { firstName: 'Sue' }))
    await phone.tab.evaluate(() => cdp.identify('snippet@example.com'))
    // Of two questions at once the first may be answered before the merge, and the second after it.
    const isWhole = one => ['hiking', 'yoga'].every(interest => one.interests.includes(interest))
    const after = await eventually('they are one', async () => {
      const both = await Promise.all(ids.map(id => user({ cookie: id })))
      return both[0].id === both[1].id && both.every(isWhole) && both[0]
    })
    assert.equal(after.email, 'snippet@example.com')
    assert.equal(after.first_name, 'Sue')
    assert.ok(after.interests.includes('hiking') && after.interests.includes('yoga'))
  },

  async 'what happens offline is sent later'() {
    const { context, tab } = await visitor()
    const id = await known(tab)
    await context.setOffline(true)
    await tab.evaluate(() => cdp.track('In The Tunnel'))
    await new Promise(done => setTimeout(done, 800))
    await context.setOffline(false)
    await eventually('it arrives', async () => {
      const found = await user({ cookie: id })
      return found && (await names(found.id)).includes('In The Tunnel')
    })
  },

  async 'who opts out is not followed, until they agree'() {
    const init = () => Object.defineProperty(navigator, 'globalPrivacyControl', { get: () => true })
    const { context, tab, sent } = await visitor({ init, context: { extraHTTPHeaders: { 'Sec-GPC': '1' } } })
    await tab.evaluate(() => cdp.interest('secrets'))
    await new Promise(done => setTimeout(done, 800))
    assert.deepEqual(sent, [])
    assert.equal(await cookie(context), undefined)
    assert.equal(await tab.evaluate(() => localStorage.length), 0)
    await tab.evaluate(() => cdp.consent({ analytics: true }))
    const id = await known(tab)
    assert.equal((await cookie(context)).value, id)
    const found = await eventually('the visitor', () => user({ cookie: id }))
    await tab.evaluate(() => cdp.consent({ analytics: false }))
    await eventually('the cookie is gone', async () => !(await cookie(context)))
    await tab.evaluate(() => cdp.interest('secrets'))
    await new Promise(done => setTimeout(done, 800))
    assert.equal(await tab.evaluate(() => cdp.id()), null)
    assert.ok(!(await user({ cookie: id })).interests.includes('secrets'))
    assert.ok((await names(found.id)).includes('page'))
  },

  async 'a site that asks first stores nothing before the answer'() {
    const { context, tab, sent } = await visitor({}, '/ask')
    await new Promise(done => setTimeout(done, 600))
    assert.deepEqual(sent, [])
    assert.equal(await cookie(context), undefined)
    await tab.evaluate(() => cdp.consent({ analytics: true, marketing: false }))
    const id = await known(tab)
    await eventually('a page view', async () => {
      const found = await user({ cookie: id })
      return found && (await names(found.id)).includes('page')
    })
  },
})
