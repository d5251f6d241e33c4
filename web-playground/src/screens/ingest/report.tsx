// What became of records: in numbers, by field, and row by row.

import type { Call } from '../../api'
import type { FileProgress, SentFile } from '../../ingest/send-file'
import { formatBytes } from '../../ingest/payload'
import { may } from '../../permissions'
import { linkTo } from '../../route'
import { session } from '../../session'
import type { IngestReport } from '../../shapes'
import { count } from '../../ui/words'
import { Quality, QualityOfBatch } from './quality'
import { Rejects } from './rejects'

/** Batches whose rejects are shown at once; the next ones follow when these are mended. */
const SHOWN_BATCHES_MAX = 3

export function Status({ report }: { report: IngestReport }) {
  const tone = { success: 'good', partial: 'warn', error: 'bad' }[report.status] ?? ''
  return (
    <span class={`badge ${tone}`} role="status">
      {report.status}
    </span>
  )
}

export function Figures(props: { processed: number; rejected: number; duplicates: number }) {
  const figures: [string, number][] = [
    ['Processed', props.processed],
    ['Rejected', props.rejected],
    ['Duplicates', props.duplicates],
  ]
  return (
    <dl class="figures">
      {figures.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{count(value)}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Report({ report, sent }: { report: IngestReport; sent: Call<IngestReport> | undefined }) {
  const rejected = report.records_rejected ?? report.errors?.length ?? 0
  const email = typeof sent?.body === 'string' ? /[\w.+-]+@[\w-]+\.[\w.]+/.exec(sent.body)?.[0] : undefined
  const mayLook = session.value !== null && may(session.value.role, 'read')
  return (
    <>
      <Figures processed={report.records_processed} rejected={rejected} duplicates={report.duplicates ?? 0} />
      {report.batch_id && (
        <p class="small">
          Batch <code>{report.batch_id}</code>
        </p>
      )}
      {report.batch_id && rejected > 0 && <Rejects key={report.batch_id} batch={report.batch_id} />}
      {report.batch_id && <QualityOfBatch batch={report.batch_id} />}
      {email && mayLook && report.records_processed > 0 && (
        <p>
          <a href={linkTo('people', { email })}>Look up {email}</a>
        </p>
      )}
    </>
  )
}

export function Progress({ progress, total }: { progress: FileProgress; total: number | undefined }) {
  const words = { reading: 'Reading the file…', sending: 'Sending…', done: 'All of it was sent.' }[progress.phase]
  const share = progress.phase === 'done' ? 1 : total === undefined ? undefined : Math.min(progress.bytes / Math.max(total, 1), 1)
  return (
    <div class="filling">
      <progress aria-label="Progress of the file" {...(share === undefined ? {} : { value: share })} max={1} />
      <p class="small" role="status">
        {words} {progress.phase === 'sending' && `${formatBytes(progress.bytes)}${total ? ` of ${formatBytes(total)}` : ''}; `}
        {progress.rows > 0 && `${count(progress.rows)} rows, ${count(progress.rejected)} rejected`}
        {progress.known > 0 && `; the server had ${count(progress.known)} of them from before`}
      </p>
    </div>
  )
}

export function FileResult({ sent, call }: { sent: SentFile; call: Call<unknown> }) {
  const { report, refused } = sent
  const left = refused.length - SHOWN_BATCHES_MAX
  return (
    <>
      <Figures processed={report.records_processed} rejected={report.records_rejected} duplicates={report.duplicates} />
      <p class="small">
        File <code>{sent.file}</code>, in {count(report.parts)} parts
      </p>
      <Quality report={report.quality} call={call} />
      {refused.slice(0, SHOWN_BATCHES_MAX).map((batch) => (
        <Rejects key={batch} batch={batch} />
      ))}
      {left > 0 && <p class="small">And {count(left)} more parts with refused rows; the API has all of them.</p>}
    </>
  )
}
