// Send records, see what became of each, and mend what was refused.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import { useRef } from 'preact/hooks'

import type { ApiError, Call } from '../../api'
import { fileReport, ingest } from '../../calls/ingest'
import { columnsOf } from '../../ingest/mapping'
import { EXAMPLES, FORMATS, type Format, formatBytes, formatOfFile, formatOfText } from '../../ingest/payload'
import { type FileProgress, isPacked, type SentFile, sendFile } from '../../ingest/send-file'
import { asApiError, useRequest } from '../../request'
import { send } from '../../session'
import type { IngestReport } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Choice } from '../../ui/choice'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { mapOf, type Mapping, MappingPreview } from './mapping-preview'
import { FileResult, Progress, Report, Status } from './report'

/** A file up to this size is shown to be edited; a larger one is sent in parts, straight from the disk. In bytes. */
const EDITABLE_BYTES_MAX = 100_000

/** Bytes of a large file that are enough to see its columns. */
const PREVIEW_BYTES = 32_768

const OPTIONS = (Object.keys(FORMATS) as Format[]).map((value) => ({ value, label: FORMATS[value].label }))

export function Ingest() {
  const format = useSignal<Format>('json')
  const text = useSignal(EXAMPLES.json)
  const file = useSignal<File | undefined>(undefined)
  const source = useSignal('')
  const dragging = useSignal(false)
  const mapping = useSignal<Mapping>({})
  /** The first rows, of which the columns are seen. */
  const sample = useSignal(EXAMPLES.json)
  const request = useRequest<IngestReport>()
  const sent = useSignal<Call<IngestReport> | undefined>(undefined)
  const parts = useParts()

  const columns = useComputed(() => columnsOf(sample.value, format.value))
  const options = useComputed(() => {
    const known = new Set(columns.value.map(({ name }) => name))
    const map = mapOf(Object.fromEntries(Object.entries(mapping.value).filter(([column]) => known.has(column))))
    return { ...(source.value.trim() ? { source: source.value.trim() } : {}), ...(map.length > 0 ? { map } : {}) }
  })
  const call = useComputed(() =>
    ingest(file.value ?? text.value, FORMATS[format.value].contentType, options.value),
  )
  useSignalEffect(() => {
    if (!file.value) sample.value = text.value.slice(0, PREVIEW_BYTES)
  })

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
    const isClosed = /\.(gz|zst)$/i.test(chosen.name)
    const small = chosen.size <= EDITABLE_BYTES_MAX && !isClosed
    if (small) text.value = await chosen.text()
    const head = isClosed ? '' : await chosen.slice(0, PREVIEW_BYTES).text()
    format.value = formatOfFile(chosen.name) ?? formatOfText(head) ?? format.value
    file.value = small ? undefined : chosen
    sample.value = head
  }
  const reset = () => {
    file.value = undefined
    text.value = EXAMPLES[format.value]
    mapping.value = {}
  }
  const submit = (event: Event) => {
    event.preventDefault()
    // Zstandard can't be unpacked by a browser: the server does it, in one request.
    const inParts = file.value && !/\.zst$/i.test(file.value.name)
    request.answer.value = undefined
    request.error.value = undefined
    if (inParts && file.value) {
      void parts.start(file.value, format.value, options.value)
    } else {
      parts.reset()
      sent.value = call.value
      void request.run(call.value)
    }
  }
  const busy = request.busy.value || parts.busy.value
  const error = request.error.value ?? parts.error.value
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
              {formatBytes(file.value.size)}, sent as {FORMATS[format.value].label} in parts of 1,000 rows
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
        <MappingPreview columns={columns.value} mapping={mapping} />
        <label class="field inline">
          From
          <input value={source.value} placeholder="shop, app, crm… (optional)" onInput={(event) => (source.value = event.currentTarget.value)} />
        </label>
        <div class="actions">
          <button type="submit" class="primary" disabled={busy}>
            {busy ? 'Sending…' : 'Send records'}
          </button>
          {parts.busy.value && (
            <button type="button" onClick={parts.stop}>
              Stop
            </button>
          )}
          <label class="button">
            Choose a file…
            <input
              class="visually-hidden"
              type="file"
              accept=".json,.ndjson,.jsonl,.csv,.tsv,.gz,.zst"
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
        <p class="small">You can also drop a file here. However large it is, it goes on where it stopped when you send it again.</p>
        <Asked call={call.value} />
      </form>

      <section class="card" aria-label="Result" aria-busy={request.busy.value}>
        <div class="card-head">
          <h2>Result</h2>
          {request.answer.value && <Status report={request.answer.value} />}
        </div>
        {parts.progress.value && <Progress progress={parts.progress.value} total={parts.total.value} />}
        {error ? (
          <ErrorNote error={error} />
        ) : parts.sent.value ? (
          <FileResult sent={parts.sent.value} call={fileReport(parts.sent.value.file)} />
        ) : request.answer.value ? (
          <Report report={request.answer.value} sent={sent.value} />
        ) : parts.progress.value ? null : (
          <Empty title="Nothing sent yet">Send the example to see how an answer looks.</Empty>
        )}
      </section>
    </div>
  )
}

/** A file on its way in parts. */
function useParts() {
  const progress = useSignal<FileProgress | undefined>(undefined)
  /** Unknown of a packed file, whose parts are counted unpacked. */
  const total = useSignal<number | undefined>(0)
  const sent = useSignal<SentFile | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal(false)
  const current = useRef<AbortController | undefined>(undefined)
  const reset = () => {
    progress.value = undefined
    sent.value = undefined
    error.value = undefined
  }
  const start = async (file: File, format: Format, options: { source?: string; map?: string[] }) => {
    reset()
    const mine = new AbortController()
    current.current = mine
    busy.value = true
    total.value = isPacked(file) ? undefined : file.size
    try {
      sent.value = await sendFile(file, format, options, send, (next) => (progress.value = { ...next }), mine.signal)
    } catch (cause) {
      if (!mine.signal.aborted) error.value = asApiError(cause)
    } finally {
      busy.value = false
    }
  }
  return { progress, total, sent, error, busy, reset, start, stop: () => current.current?.abort() }
}
