// What became of each message, the latest first.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { deliveries } from '../../calls/webhooks'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import type { Deliveries } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Choice } from '../../ui/choice'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { Table } from '../../ui/table'
import { when } from '../../ui/words'

const PAGE = 20

type Which = 'all' | 'dead'

const OPTIONS: { value: Which; label: string }[] = [
  { value: 'all', label: 'All' },
  { value: 'dead', label: 'Dead letters' },
]

export function DeliveryLog({ id }: { id: string }) {
  const which = useSignal<Which>('all')
  const before = useSignal<number | undefined>(undefined)
  const request = useRequest<Deliveries>()
  const call = deliveries(id, PAGE, which.value === 'dead', before.value)
  useEffect(() => void request.run(call), [which.value, before.value])
  const found = request.answer.value
  return (
    <section class="card" aria-label="Deliveries" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Deliveries</h2>
        <span class="actions">
          <button type="button" class="quiet" onClick={() => void request.run(call)}>
            Refresh
          </button>
          <Choice
            legend="Which"
            name="which"
            options={OPTIONS}
            value={which.value}
            onChange={(next) => {
              before.value = undefined
              which.value = next
            }}
          />
        </span>
      </div>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : found && found.deliveries.length > 0 ? (
        <>
          <Table label="Deliveries of the webhook" head={['When', 'What', 'Person', 'Answer', 'Tries']}>
            {found.deliveries.map((one) => (
              <tr key={one.number}>
                <td>{when(one.at)}</td>
                <td>
                  {one.change.kind}
                  {one.change.cohort && ` ${one.change.cohort.name}`}
                </td>
                <td>
                  <a href={linkTo('people', { id: one.change.profile_id })}>{one.change.profile_id}</a>
                </td>
                <td>
                  <span class={`badge ${one.state === 'delivered' ? 'good' : 'bad'}`}>{one.status ?? one.state}</span>
                  {one.error && <span class="small"> {one.error}</span>}
                </td>
                <td class="number">{one.attempts}</td>
              </tr>
            ))}
          </Table>
          <div class="pager">
            <button type="button" disabled={before.value === undefined} onClick={() => (before.value = undefined)}>
              Latest
            </button>
            <button
              type="button"
              disabled={!found.next_before}
              onClick={() => (before.value = found.next_before ?? undefined)}
            >
              Earlier
            </button>
          </div>
        </>
      ) : (
        <Empty title={found ? 'Nothing was sent yet' : 'Loading…'}>
          {found ? 'As soon as somebody enters or leaves a cohort, it shows here.' : 'This takes a moment.'}
        </Empty>
      )}
      <Asked call={call} />
    </section>
  )
}
