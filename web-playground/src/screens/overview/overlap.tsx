// How many people each two cohorts share.

import { useEffect } from 'preact/hooks'

import { overlaps } from '../../calls/cohorts'
import { useRequest } from '../../request'
import type { Overlap } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { count } from '../../ui/words'

/** A cell of this likeness has the strongest tint, in percent of the accent. Beyond it, text would be hard to read. */
const TINT_MAX = 45

export function OverlapCard({ round }: { round: number }) {
  const request = useRequest<{ overlaps: Overlap[] }>()
  useEffect(() => void request.run(overlaps()), [round])
  const found = request.answer.value?.overlaps ?? []
  const names = [...new Set(found.flatMap(({ cohorts }) => cohorts))].sort()
  const by = new Map(found.map((one) => [[...one.cohorts].sort().join('\n'), one]))
  const most = Math.max(0.01, ...found.map(({ likeness }) => likeness))
  return (
    <section class="card all" aria-label="Overlap">
      <div class="card-head">
        <h2>Overlap</h2>
        <span class="small">people whom two cohorts share; the darker, the larger their share among all in either</span>
      </div>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : names.length > 0 ? (
        <div class="table-wrap" role="region" aria-label="Overlap of cohorts" tabIndex={0}>
          <table class="matrix">
            <thead>
              <tr>
                <td class="same" />
                {names.map((name) => (
                  <th key={name} scope="col">
                    <span>{name}</span>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {names.map((row) => (
                <tr key={row}>
                  <th scope="row">{row}</th>
                  {names.map((column) => {
                    const one = by.get([row, column].sort().join('\n'))
                    if (!one) return <td key={column} class="same">{row === column ? '' : '0'}</td>
                    return (
                      <td
                        key={column}
                        style={{ '--likeness': String((one.likeness / most) * TINT_MAX) }}
                        title={`${row} and ${column} share ${count(one.shared)}, ${Math.round(one.likeness * 100)} % of all in either`}
                      >
                        {count(one.shared)}
                      </td>
                    )
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <Empty title={request.answer.value ? 'Nothing to compare yet' : 'Loading…'}>
          {request.answer.value ? 'It takes two cohorts with members.' : 'This takes a moment.'}
        </Empty>
      )}
      <Asked call={overlaps()} />
    </section>
  )
}
