// The API to learn and to try: the requests that this page made, REST in Swagger UI, GraphQL in GraphiQL.

import { useComputed, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { pathAndQuery } from '../../api'
import { type Asked, history } from '../../history'
import { linkTo, route } from '../../route'
import { renewIfOver, session } from '../../session'
import { AsCurl, AsGraphql } from '../../ui/asked'
import { Empty } from '../../ui/empty'

type View = 'requests' | 'rest' | 'graphiql'

const VIEWS: { value: View; label: string }[] = [
  { value: 'requests', label: 'Requests of this page' },
  { value: 'rest', label: 'REST' },
  { value: 'graphiql', label: 'GraphQL' },
]

export function Api() {
  const params = useSignal(new URLSearchParams())
  const view = useComputed<View>(() => {
    if (route.value.screen === 'api') params.value = route.value.params
    return (params.value.get('view') as View | null) ?? 'requests'
  })
  return (
    <div class="stack">
      <nav class="choice" aria-label="Views of the API">
        {VIEWS.map(({ value, label }) => (
          <a key={value} href={linkTo('api', { view: value })} aria-current={view.value === value ? 'true' : undefined}>
            {label}
          </a>
        ))}
      </nav>
      {view.value === 'requests' && <Requests />}
      {view.value === 'rest' && <Rest />}
      {view.value === 'graphiql' && (
        <Graphiql key={params.value.toString()} query={params.value.get('query')} variables={params.value.get('variables')} />
      )}
    </div>
  )
}

function Requests() {
  const chosen = useSignal<Asked | undefined>(undefined)
  const found = history.value
  return (
    <div class="split narrow-first">
      <section class="card" aria-label="Requests">
        <h2>Latest requests</h2>
        {found.length === 0 ? (
          <Empty title="None yet">Use any other screen: what it asks the server appears here.</Empty>
        ) : (
          <ul class="requests">
            {found.map((asked) => (
              <li key={asked.number}>
                <button
                  type="button"
                  aria-pressed={chosen.value?.number === asked.number}
                  onClick={() => (chosen.value = asked)}
                >
                  <span class="tag">{asked.call.method}</span>
                  <code>{pathAndQuery(asked.call)}</code>
                  <span class={`badge ${asked.status >= 200 && asked.status < 300 ? 'good' : 'bad'}`}>
                    {asked.status || 'none'}
                  </span>
                  <span class="small">{Math.round(asked.tookMs)} ms</span>
                </button>
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="card" aria-label="The request">
        {chosen.value ? (
          <>
            <h2>As curl</h2>
            <AsCurl key={chosen.value.number} call={chosen.value.call} />
            {chosen.value.call.graphql && (
              <>
                <h2>The same in GraphQL</h2>
                <AsGraphql text={chosen.value.call.graphql} />
              </>
            )}
          </>
        ) : (
          <Empty title="No request chosen">Choose one to see it as curl and in GraphQL, ready to copy.</Empty>
        )}
      </section>
    </div>
  )
}

/**
 * Swagger UI as the server makes it. Its pages may stand in no frame, so it opens in a tab of its own; opened
 * from here, it asks as whoever is logged in here.
 */
function Rest() {
  const open = (event: MouseEvent) => {
    const opened = window.open('/docs', '_blank')
    if (!opened) return
    event.preventDefault()
    opened.addEventListener('load', () => {
      const plain = opened.fetch.bind(opened)
      opened.fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
        await renewIfOver()
        const request = new Request(input, init)
        const token = session.peek()?.token
        if (token && !request.headers.has('Authorization')) request.headers.set('Authorization', `Bearer ${token}`)
        return plain(request)
      }
    })
  }
  return (
    <section class="card" aria-label="REST">
      <h2>Every route, to read and to try</h2>
      <p>Swagger UI opens in a tab of its own. For as long as this one is open, Try it out asks with your token.</p>
      <p class="actions">
        <a class="button" href="/docs" target="_blank" onClick={open}>
          Open Swagger UI
        </a>
      </p>
      <p class="small">
        The description itself is <a href="/openapi.json">openapi.json</a>.
      </p>
    </section>
  )
}

function Graphiql({ query, variables }: { query: string | null; variables: string | null }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    let unmount: (() => void) | undefined
    let gone = false
    void import('../../graphiql/editor').then(({ mountEditor }) => {
      if (place.current && !gone) unmount = mountEditor(place.current, { query: query ?? undefined, variables: variables ?? undefined })
    })
    return () => {
      gone = true
      unmount?.()
    }
  }, [])
  return (
    <section class="card flush" aria-label="GraphQL">
      <div class="graphiql-place inside" ref={place} />
    </section>
  )
}
