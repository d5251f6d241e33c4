// The request of a card, as a command line and in GraphQL, to copy and to learn from.

import { useSignal } from '@preact/signals'

import type { Call, GraphqlText } from '../api'
import { SHOWN_BODY_CHARS_MAX, toCurl } from '../curl'
import { linkTo } from '../route'
import { session } from '../session'
import { Choice } from './choice'
import { CopyButton } from './copy'

type Form = 'curl' | 'graphql'

const OPTIONS: { value: Form; label: string }[] = [
  { value: 'curl', label: 'curl' },
  { value: 'graphql', label: 'GraphQL' },
]

let names = 0

/** `what` tells requests apart where a card makes several. */
export function Asked({ call, what = 'This request' }: { call: Call<unknown>; what?: string }) {
  const form = useSignal<Form>('curl')
  const name = useSignal(`asked-${++names}`)
  const { graphql } = call
  return (
    <details class="asked">
      <summary>
        {what} as {graphql ? 'curl or GraphQL' : 'curl'}
      </summary>
      {graphql && (
        <Choice
          legend="Show as"
          name={name.value}
          options={OPTIONS}
          value={form.value}
          onChange={(next) => (form.value = next)}
        />
      )}
      {graphql && form.value === 'graphql' ? <AsGraphql text={graphql} /> : <AsCurl call={call} />}
    </details>
  )
}

export function AsCurl({ call }: { call: Call<unknown> }) {
  const whole = toCurl(call, location.origin)
  return (
    <>
      <Copied text={whole} />
      {!call.anonymous && (
        <p class="small">
          <code>$TOKEN</code> stands for your access token:
          <CopyButton text={() => session.peek()?.token ?? ''} label="Copy token" />
        </p>
      )}
    </>
  )
}

export function AsGraphql({ text }: { text: GraphqlText }) {
  const variables = JSON.stringify(text.variables, null, 2)
  return (
    <>
      <Copied text={text.query.trim()} />
      {Object.keys(text.variables).length > 0 && <Copied text={variables} label="Copy variables" />}
      <p class="small">
        <a href={linkTo('api', { view: 'graphiql', query: text.query, variables })}>Open it in GraphiQL</a>
      </p>
    </>
  )
}

function Copied({ text, label = 'Copy' }: { text: string; label?: string }) {
  const shown = text.length > SHOWN_BODY_CHARS_MAX ? `${text.slice(0, SHOWN_BODY_CHARS_MAX)}…` : text
  return (
    <div class="asked-body">
      <pre>{shown}</pre>
      <CopyButton text={() => text} label={label} />
    </div>
  )
}
