// A value that tells where it comes from: on hover and on focus in words, on a click the very row.

import { useSignal } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'

import { rawRow } from '../calls/people'
import { useRequest } from '../request'
import type { FieldProvenance, RawRow } from '../shapes'
import { ErrorNote } from './error-note'
import { plain, when } from './words'

export function Origin({ value, of }: { value: string; of: FieldProvenance | undefined }) {
  const shown = useSignal(false)
  const opened = useSignal(false)
  const id = useId()
  if (!of) return <>{value}</>
  const { survivor, lost } = of
  const show = () => (shown.value = true)
  const hide = () => (shown.value = false)
  return (
    <span class="origin" onMouseEnter={show} onMouseLeave={hide}>
      <button
        type="button"
        class="origin-value"
        aria-describedby={shown.value ? id : undefined}
        onFocus={show}
        onBlur={hide}
        onKeyDown={(event) => event.key === 'Escape' && hide()}
        onClick={() => (opened.value = true)}
      >
        {value}
      </button>
      {shown.value && (
        <span role="tooltip" id={id} class="tooltip">
          <span>
            From <strong>{survivor.source ?? 'an unknown source'}</strong>, {when(survivor.at)}
            {survivor.cookie && (
              <>
                , under the cookie <code>{survivor.cookie}</code>
              </>
            )}
            .
          </span>
          {lost.length > 0 && (
            <span>
              It won over{' '}
              {lost
                .slice(0, 3)
                .map((one) => `“${plain(one.value)}” (${one.source ?? '?'}, ${when(one.at)})`)
                .join(' and ')}
              .
            </span>
          )}
          <span class="small">Press it to see the record.</span>
        </span>
      )}
      {opened.value && survivor.raw && (
        <RawDialog raw={survivor.raw} title={`The record that says “${value}”`} onClose={() => (opened.value = false)} />
      )}
    </span>
  )
}

/** A row exactly as it arrived. */
export function RawDialog(props: { raw: string; title: string; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const request = useRequest<{ rawRow: RawRow | null }>()
  useEffect(() => {
    dialog.current?.showModal()
    void request.run(rawRow(props.raw))
  }, [])
  const row = request.answer.value?.rawRow
  return (
    <dialog ref={dialog} class="dialog" aria-label={props.title} onClose={props.onClose}>
      <h2>{props.title}</h2>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : row ? (
        <>
          <p class="small">
            Sent by <strong>{row.source}</strong>, arrived {when(row.receivedAt)}, line {row.line} of its batch.
          </p>
          {row.verbatim ? <pre>{pretty(row.verbatim)}</pre> : <NoText />}
        </>
      ) : (
        <p class="small">{request.answer.value ? 'This record is no longer kept.' : 'This takes a moment.'}</p>
      )}
      <div class="actions end">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}

/** In place of a row whose text is not told. */
export function NoText() {
  return <p class="small">Its text is hidden from your role, or no longer kept.</p>
}

export function pretty(verbatim: string): string {
  try {
    return JSON.stringify(JSON.parse(verbatim), null, 2)
  } catch {
    return verbatim
  }
}
