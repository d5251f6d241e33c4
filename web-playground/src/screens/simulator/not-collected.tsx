// Why what a visitor did was not stored, if so.

import type { ApiError } from '../../api'
import type { Collected } from '../../calls/collect'
import { ErrorNote } from '../../ui/error-note'

export function NotCollected({ answer, error }: { answer?: Collected | undefined; error: ApiError | undefined }) {
  if (error && (error.status === 401 || error.status === 403)) {
    return (
      <p class="note" role="alert">
        This server does not take the demo’s write key, so nothing was stored. The simulator is for demos: start one with{' '}
        <code>make run</code>.
      </p>
    )
  }
  if (error) return <ErrorNote error={error} />
  if (!answer || answer.id) return null
  return (
    <p class="note" role="status">
      The collector stored nothing: this browser asks not to be followed (Do Not Track or Global Privacy Control), or
      this server wants consent first.
    </p>
  )
}
