// How good the rows of a batch were: what each field was given, and what was wrong with it.

import { useEffect } from 'preact/hooks'

import type { Call } from '../../api'
import { batchQuality } from '../../calls/ingest'
import { useRequest } from '../../request'
import type { BatchQuality } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Table } from '../../ui/table'
import { count, plural } from '../../ui/words'

/** The report of a batch. Beside the answer it is no more than an aside, so a failure says nothing. */
export function QualityOfBatch({ batch }: { batch: string }) {
  const request = useRequest<BatchQuality>()
  useEffect(() => void request.run(batchQuality(batch)), [batch])
  const report = request.answer.value
  if (!report || report.batch_id !== batch) return null
  return <Quality report={report} call={batchQuality(batch)} />
}

export function Quality({ report, call }: { report: Omit<BatchQuality, 'batch_id'>; call: Call<unknown> }) {
  if (report.fields.length === 0) return null
  return (
    <>
      <h3>Quality</h3>
      <Table label="Quality by field" head={['Field', 'Filled', 'Invalid', 'Repaired', 'Dropped']}>
        {report.fields.map((field) => (
          <tr key={field.field}>
            <td>{field.field ? <code>{field.field}</code> : 'the row'}</td>
            {[field.filled, field.invalid, field.repaired, field.dropped].map((number, index) => (
              <td key={index} class="number">
                {count(number)}
              </td>
            ))}
          </tr>
        ))}
      </Table>
      {report.bad_values.length > 0 && (
        <details>
          <summary>Most frequent bad values</summary>
          <Table label="Bad values" head={['Field', 'Code', 'Value or its shape', 'Count']}>
            {report.bad_values.map((bad, index) => (
              <tr key={index}>
                <td>
                  <code>{bad.field}</code>
                </td>
                <td>
                  <code>{bad.code}</code>
                </td>
                <td class="long">{bad.value}</td>
                <td class="number">{count(bad.count)}</td>
              </tr>
            ))}
          </Table>
        </details>
      )}
      {report.warnings > 0 && (
        <p class="small">{plural(report.warnings, 'warning')}: these rows are stored all the same.</p>
      )}
      <Asked call={call} what="The quality report" />
    </>
  )
}
