// Refused rows in a grid: mend what is wrong in place, and send them again.

import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { rejects, replay } from '../../calls/ingest'
import { useRequest } from '../../request'
import type { Reject, Replay } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'
import { NoText } from '../../ui/origin'
import { plain, plural } from '../../ui/words'

/** Rows that are mended at once. */
const PAGE = 50

/** What was typed, by row and field. */
type Edits = Record<number, Record<string, string>>

export function Rejects({ batch, onReplayed }: { batch: string; onReplayed?: () => void }) {
  const request = useRequest<{ rejects: Reject[] }>()
  const sending = useRequest<Replay>()
  const edits = useSignal<Edits>({})
  const load = () => request.run(rejects(batch, PAGE))
  useEffect(() => void load(), [batch])

  const open = (request.answer.value?.rejects ?? []).filter((reject) => !reject.replayed_at)
  const readable = open.filter((reject) => reject.fields)
  const columns = columnsOf(readable)
  const records = readable.map((reject) => mended(reject, edits.value[reject.row] ?? {}))
  const send = async () => {
    const answer = await sending.run(replay(batch, records))
    if (!answer) return
    await load()
    onReplayed?.()
  }
  const answer = sending.answer.value
  return (
    <section aria-label="Rejects" aria-busy={request.busy.value}>
      <h3>Refused rows, to mend</h3>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {readable.length > 0 && (
        <>
          <p class="small">Correct what is marked, then send the rows again. A row that is stored is never stored twice.</p>
          <Grid rows={readable} columns={columns} edits={edits} />
          <div class="actions">
            <button type="button" class="primary" disabled={sending.busy.value} onClick={() => void send()}>
              {sending.busy.value ? 'Sending…' : `Send ${plural(readable.length, 'row')} again`}
            </button>
            <span class="small" role="status">
              {answer && `${plural(answer.records_processed, 'row')} stored, ${plural(answer.records_rejected, 'row')} refused again.`}
            </span>
          </div>
          <Asked call={replay(batch, records)} what="The replay" />
        </>
      )}
      {request.answer.value && open.length === 0 && (
        <p class="note good" role="status">
          Every refused row of this batch is mended and stored.
        </p>
      )}
      {open
        .filter((reject) => !reject.fields)
        .map((reject) => (
          <div key={reject.row} class="unreadable">
            <p class="small">
              Line {reject.line} could not be read: {reject.errors.map(({ message }) => message).join('; ')}.
            </p>
            {reject.verbatim ? <pre>{reject.verbatim}</pre> : <NoText />}
          </div>
        ))}
      {sending.error.value && <ErrorNote error={sending.error.value} />}
    </section>
  )
}

function Grid({ rows, columns, edits }: { rows: Reject[]; columns: string[]; edits: Signal<Edits> }) {
  const edit = (row: number, field: string, value: string) =>
    (edits.value = { ...edits.value, [row]: { ...edits.value[row], [field]: value } })
  return (
    <div class="table-wrap" role="region" aria-label="Rejected rows" tabIndex={0}>
      <table class="grid">
        <thead>
          <tr>
            <th scope="col">Row</th>
            <th scope="col">What is wrong</th>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((reject) => (
            <tr key={reject.row}>
              <td class="number">{reject.row}</td>
              <td class="long">
                {reject.errors.map((error, index) => (
                  <div key={index}>
                    {error.field && <code>{error.field}</code>} {error.message}
                  </div>
                ))}
              </td>
              {columns.map((column) => {
                const isWrong = reject.errors.some(({ field }) => field === column)
                return (
                  <td key={column}>
                    <input
                      class={isWrong ? 'wrong' : ''}
                      aria-label={`${column} of row ${reject.row}`}
                      aria-invalid={isWrong}
                      value={edits.value[reject.row]?.[column] ?? textOf(reject.fields?.[column])}
                      onInput={(event) => edit(reject.row, column, event.currentTarget.value)}
                    />
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** What is wrong in some row comes first, then the rest in the order of the rows. */
export function columnsOf(rejects: Reject[]): string[] {
  const wrong = rejects.flatMap(({ errors }) => errors.flatMap(({ field }) => (field ? [field] : [])))
  const all = rejects.flatMap(({ fields }) => Object.keys(fields ?? {}))
  return [...new Set([...wrong, ...all])]
}

/** The row as it came, with what was typed in place of it. A field that was emptied is left out. */
export function mended(reject: Reject, edits: Record<string, string>): Record<string, unknown> {
  const fields = { ...reject.fields, ...edits }
  const kept = Object.entries(fields).filter(([, value]) => value !== '')
  return { row: reject.row, ...Object.fromEntries(kept) }
}

const textOf = (value: unknown): string => (Array.isArray(value) ? value.map(plain).join(';') : plain(value))
