// The snippet of a website: page views, interests and log-ins, sent to the server that it is loaded from.
//
//   <script async src="https://data.shop.example/collect.js" data-key="cdp_pk_…"></script>
//
// Calls that come before it is there wait in an array: `(window.cdp ||= []).push(['interest', 'nike shoes'])`.
// The visitor's id is the server's to choose, in a cookie that no script sees; what is kept here is a copy,
// for servers of other sites, whose cookies browsers don't keep.

type Dict = Record<string, unknown>
type Call = [name: string, ...args: unknown[]]

interface Sent extends Dict {
  type: string
  messageId: string
}

(() => {
  const { document: page, navigator: browser, location: place, localStorage: kept } = window
  const script = page.currentScript as HTMLScriptElement | null
  const { key = '', purpose = 'analytics', consent: rule } = script?.dataset ?? {}
  if (!script || !key) return
  const url = new URL('/collect', script.src).href

  /** Events that one request has room for, and that wait at most. */
  const ATONCE = 20
  const WAITING = 100
  /** Milliseconds that events wait for others, and the longest pause after a failure. */
  const GATHER = 300
  const PAUSE = 60_000

  const read = (name: string) => {
    try {
      return JSON.parse(kept.getItem('cdp_' + name) ?? 'null')
    } catch {
      return null
    }
  }
  const write = (name: string, value: unknown) => {
    try {
      if (value == null) kept.removeItem('cdp_' + name)
      else kept.setItem('cdp_' + name, JSON.stringify(value))
    } catch {
      // A browser that keeps nothing: every page is a first one.
    }
  }
  const random = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16))
    return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  }

  let id: string | null = read('id')
  let said: Dict = read('consent') ?? {}
  let waiting: Sent[] = []
  let timer = 0
  let pause = 0
  let busy = false
  let seen = ''

  /** Whether the visitor may be followed: what they said; else what their browser says, and the site. */
  const allowed = () => {
    const answer = said[purpose]
    if (typeof answer === 'boolean') return answer
    const wishes = browser as unknown as { globalPrivacyControl?: boolean }
    const out = wishes.globalPrivacyControl || browser.doNotTrack === '1'
    return !out && rule !== 'required'
  }

  const later = (wait: number) => {
    clearTimeout(timer)
    timer = window.setTimeout(send, wait)
  }

  const event = (type: string, more: Dict) => {
    if (!allowed()) return
    enqueue(type, more)
    later(pause || GATHER)
  }

  const enqueue = (type: string, more: Dict) => {
    const context: Dict = {
      locale: browser.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      page: { url: place.href, path: place.pathname, title: page.title, referrer: page.referrer },
      library: { name: 'cdp-snippet', version: '1' },
    }
    if (Object.keys(said).length) context.consent = { categoryPreferences: said }
    const timestamp = new Date().toISOString()
    waiting.push({ type, messageId: random(), timestamp, context, ...more })
    waiting.splice(0, waiting.length - WAITING)
  }

  const body = (events: Sent[]) =>
    JSON.stringify({ writeKey: key, anonymousId: id, sentAt: new Date().toISOString(), batch: events })

  /** A request that outlives the page and asks no leave beforehand: its body is plain text. */
  const post = (text: string) => fetch(url, { method: 'POST', body: text, credentials: 'include', keepalive: true })

  const send = async () => {
    if (busy || !waiting.length) return
    if (!browser.onLine) return write('waiting', waiting)
    busy = true
    const events = waiting.splice(0, ATONCE)
    try {
      // Until the server has answered once, no other id than this one may go out.
      if (allowed()) id ??= random()
      const answer = await post(body(events))
      if (answer.status >= 500 || answer.status === 429) throw answer
      pause = 0
      const told = answer.ok ? ((await answer.json()) as { id?: string }).id : null
      if (told && allowed()) write('id', (id = told))
    } catch {
      waiting.unshift(...events)
      pause = Math.min(PAUSE, pause * 2 || 1000)
    }
    busy = false
    write('waiting', pause ? waiting : null)
    if (waiting.length) later(pause || GATHER)
  }

  /** The page goes away: all that waits is handed to the browser. */
  const leave = () => {
    while (waiting.length) {
      const text = body(waiting.splice(0, ATONCE))
      if (!browser.sendBeacon?.(url, text)) post(text).catch(() => {})
    }
    write('waiting', null)
  }

  const list = (interests: unknown) => ([] as unknown[]).concat(interests).map(String)

  const calls: Record<string, (...args: never[]) => unknown> = {
    page(properties: Dict = {}) {
      seen = place.pathname + place.search
      const marked = Array.from(page.querySelectorAll<HTMLElement>('[data-cdp-page-interest]'))
      const interests = marked.map(one => one.dataset.cdpPageInterest)
      event('page', {
        properties: {
          url: place.href,
          path: place.pathname,
          search: place.search,
          title: page.title,
          referrer: page.referrer,
          ...(interests.length ? { interests } : {}),
          ...properties,
        },
      })
    },
    track: (name: string, properties: Dict = {}) => event('track', { event: name, properties }),
    interest: (interests: string | string[]) =>
      event('track', { event: 'Interest', properties: { interests: list(interests) } }),
    identify: (userId: string, traits: Dict = {}) => event('identify', { userId, traits }),
    consent(answers: Dict) {
      const was = allowed()
      said = { ...said, ...answers }
      write('consent', said)
      if (allowed()) {
        event('identify', {})
        if (!was) first()
        return
      }
      // Of whom nothing is known, nothing is told; else they are told of and then forgotten.
      waiting = []
      if (id) {
        enqueue('identify', {})
        leave()
      }
      id = null
      write('id', null)
      write('waiting', null)
    },
    id: () => id,
  }

  /** What a visit begins with. */
  const first = () => {
    if (script.dataset.page !== 'off') (calls.page as () => void)()
  }

  const take = (call: Call) => (calls[call[0]] as ((...args: unknown[]) => unknown) | undefined)?.(...call.slice(1))
  const holder = window as unknown as { cdp?: Call[] }
  const before = holder.cdp ?? []
  holder.cdp = { ...calls, push: take } as unknown as Call[]

  if (allowed()) {
    waiting = read('waiting') ?? []
    first()
  }
  before.forEach(take)

  // A page that makes its own address anew is another page.
  const moved = () => {
    if (seen && seen !== place.pathname + place.search) first()
  }
  for (const name of ['pushState', 'replaceState'] as const) {
    const own = history[name]
    history[name] = function (...args) {
      own.apply(this, args)
      // Its title may follow.
      setTimeout(moved)
    }
  }
  addEventListener('popstate', () => setTimeout(moved))
  addEventListener('online', () => later(0))
  addEventListener('pagehide', leave)
  addEventListener('visibilitychange', () => {
    if (page.visibilityState === 'hidden' && id && browser.onLine) leave()
  })
  addEventListener('click', ({ target }) => {
    const marked = (target as Element | null)?.closest?.<HTMLElement>('[data-cdp-interest]')
    const interest = marked?.dataset.cdpInterest
    if (interest) (calls.interest as (text: string) => void)(interest)
  }, true)
})()
