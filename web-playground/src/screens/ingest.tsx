// Send records, and see what became of each.

import { useComputed, useSignal } from '@preact/signals'

import { type Call } from '../api'
import { ingest } from '../calls/ingest'
import { EXAMPLES, FORMATS, type Format, formatBytes, formatOfFile, formatOfText } from '../payload'
import { useRequest } from '../request'
import { may } from '../permissions'
import { linkTo } from '../route'
import { session } from '../session'
import type { IngestReport, RowError } from '../shapes'
import { Choice } from '../ui/choice'
import { Asked } from '../ui/asked'
import { Empty } from '../ui/empty'
import { ErrorNote } from '../ui/error-note'
import { Table } from '../ui/table'
import { count, plural } from '../ui/words'
import { Quality } from './quality'

/** A file up to this size is shown to be edited; a larger one is sent straight from the disk. In bytes. */
const EDITABLE_BYTES_MAX = 100_000

/** A page of tens of thousands of rows helps nobody: the rest is counted. */
const SHOWN_ERRORS_MAX = 100

const OPTIONS = (Object.keys(FORMATS) as Format[]).map((value) => ({ value, label: FORMATS[value].label }))

export function Ingest() {
  const format = useSignal<Format>('json')
  const text = useSignal(EXAMPLES.json)
  const file = useSignal<File | undefined>(undefined)
  const dragging = useSignal(false)
  const request = useRequest<IngestReport>()
  const sent = useSignal<Call<IngestReport> | undefined>(undefined)

  const call = useComputed(() => ingest(file.value ?? text.value, FORMATS[format.value].contentType))

  const chooseFormat = (next: Format) => {
    if (!file.value && (text.value === EXAMPLES[format.value] || text.value === '')) text.value = EXAMPLES[next]
    format.value = next
  }
  const edit = (next: string) => {
    text.value = next
    format.value = formatOfText(next) ?? format.value
  }
  const choose = async (chosen: File | undefined) => {
    if (!chosen) return
    const small = chosen.size <= EDITABLE_BYTES_MAX
    if (small) text.value = await chosen.text()
    format.value = formatOfFile(chosen.name) ?? (small ? formatOfText(text.value) : undefined) ?? format.value
    file.value = small ? undefined : chosen
  }
  const reset = () => {
    file.value = undefined
    text.value = EXAMPLES[format.value]
  }
  const submit = (event: Event) => {
    event.preventDefault()
    sent.value = call.value
    void request.run(call.value)
  }

  return (
    <div class="split">
      <form
        class={`card ${dragging.value ? 'dragging' : ''}`}
        onSubmit={submit}
        onDragOver={(event) => {
          event.preventDefault()
          dragging.value = true
        }}
        onDragLeave={() => (dragging.value = false)}
        onDrop={(event) => {
          event.preventDefault()
          dragging.value = false
          void choose(event.dataTransfer?.files[0])
        }}
      >
        <div class="card-head">
          <h2>Records</h2>
          <Choice legend="Format" name="format" options={OPTIONS} value={format.value} onChange={chooseFormat} />
        </div>
        {file.value ? (
          <div class="payload file">
            <p>
              <strong>{file.value.name}</strong>
            </p>
            <p>
              {formatBytes(file.value.size)}, sent as {FORMATS[format.value].label}
            </p>
          </div>
        ) : (
          <textarea
            class="payload"
            aria-label={`Records as ${FORMATS[format.value].label}`}
            value={text.value}
            spellcheck={false}
            wrap="off"
            required
            onInput={(event) => edit(event.currentTarget.value)}
          />
        )}
        <div class="actions">
          <button type="submit" class="primary" disabled={request.busy.value}>
            {request.busy.value ? 'Sending…' : 'Send records'}
          </button>
          <label class="button">
            Choose a file…
            <input
              class="visually-hidden"
              type="file"
              accept=".json,.ndjson,.jsonl,.csv"
              onChange={(event) => {
                void choose(event.currentTarget.files?.[0])
                event.currentTarget.value = ''
              }}
            />
          </label>
          <button type="button" class="quiet" onClick={reset}>
            Use the example
          </button>
        </div>
        <p class="small">You can also drop a file here.</p>
        <Asked call={call.value} />
      </form>

      <section class="card" aria-label="Result" aria-busy={request.busy.value}>
        <div class="card-head">
          <h2>Result</h2>
          {request.answer.value && <Status report={request.answer.value} />}
        </div>
        {request.error.value ? (
          <ErrorNote error={request.error.value} />
        ) : request.answer.value ? (
          <Report report={request.answer.value} sent={sent.value} />
        ) : (
          <Empty title="Nothing sent yet">Send the example to see how an answer looks.</Empty>
        )}
      </section>
    </div>
  )
}

function Status({ report }: { report: IngestReport }) {
  const tone = { success: 'good', partial: 'warn', error: 'bad' }[report.status] ?? ''
  return (
    <span class={`badge ${tone}`} role="status">
      {report.status}
    </span>
  )
}

function Report({ report, sent }: { report: IngestReport; sent: Call<IngestReport> | undefined }) {
  const errors = report.errors ?? []
  const email = typeof sent?.body === 'string' ? /[\w.+-]+@[\w-]+\.[\w.]+/.exec(sent.body)?.[0] : undefined
  const mayLook = session.value !== null && may(session.value.role, 'read')
  return (
    <>
      <dl class="figures">
        <div>
          <dt>Processed</dt>
          <dd>{count(report.records_processed)}</dd>
        </div>
        <div>
          <dt>Rejected</dt>
          <dd>{count(report.records_rejected ?? errors.length)}</dd>
        </div>
        <div>
          <dt>Duplicates</dt>
          <dd>{count(report.duplicates ?? 0)}</dd>
        </div>
      </dl>
      {report.batch_id && (
        <p class="small">
          Batch <code>{report.batch_id}</code>
        </p>
      )}
      {errors.length > 0 && <Errors errors={errors} />}
      {report.batch_id && <Quality batch={report.batch_id} />}
      {email && mayLook && report.records_processed > 0 && (
        <p>
          <a href={linkTo('people', { email })}>Look up {email}</a>
        </p>
      )}
    </>
  )
}

function Errors({ errors }: { errors: RowError[] }) {
  const shown = errors.slice(0, SHOWN_ERRORS_MAX)
  const left = errors.length - shown.length
  return (
    <>
      <h3>What is wrong with the rejected rows</h3>
      <Table label="Rejected rows" head={['Row', 'Line', 'Field', 'Code', 'Message']}>
        {shown.map((error, index) => (
          <tr key={index}>
            <td class="number">{error.row ?? '–'}</td>
            <td class="number">{error.line ?? '–'}</td>
            <td>{error.field ? <code>{error.field}</code> : '–'}</td>
            <td>
              <code>{error.code}</code>
            </td>
            <td class="long">{error.message}</td>
          </tr>
        ))}
      </Table>
      {left > 0 && <p class="small">And {plural(left, 'more row')}. The answer to the curl request has them all.</p>}
      <p class="small">Correct these rows, then send them again.</p>
    </>
  )
}
