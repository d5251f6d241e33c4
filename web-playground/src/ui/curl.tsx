// The request of a card, as a command line to copy.

import type { Call } from '../api'
import { SHOWN_BODY_CHARS_MAX, toCurl } from '../curl'
import { session } from '../session'
import { CopyButton } from './copy'

export function Curl({ call }: { call: Call<unknown> }) {
  const whole = toCurl(call, location.origin)
  const shown = whole.length > SHOWN_BODY_CHARS_MAX ? `${whole.slice(0, SHOWN_BODY_CHARS_MAX)}…` : whole
  return (
    <details class="curl">
      <summary>This request as curl</summary>
      <div class="curl-body">
        <pre>{shown}</pre>
        <CopyButton text={() => whole} label="Copy" />
      </div>
      {!call.anonymous && (
        <p class="small">
          <code>$TOKEN</code> stands for your access token:
          <CopyButton text={() => session.peek()?.token ?? ''} label="Copy token" />
        </p>
      )}
    </details>
  )
}
