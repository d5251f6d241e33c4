// The cohorts by size; one of them with all that belongs to it; and a new one to define.

import { useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { listCohorts } from '../../calls/cohorts'
import { may } from '../../permissions'
import { useRequest } from '../../request'
import { linkTo, route } from '../../route'
import { session } from '../../session'
import type { Cohort, Defined } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { count } from '../../ui/words'
import { Define } from './define'
import { Detail } from './detail'

export function Cohorts() {
  const request = useRequest<{ cohorts: Cohort[] }>()
  const filling = useSignal<string | undefined>(undefined)
  const load = () => request.run(listCohorts())
  useEffect(() => void load(), [])

  // The address names a cohort, or asks for a new one; elsewhere it stays as it was here.
  const last = useSignal<URLSearchParams>(new URLSearchParams())
  const asked = useComputed(() => {
    if (route.value.screen === 'cohorts') last.value = route.value.params
    return last.value
  })
  const slug = asked.value.get('cohort')
  const isNew = asked.value.has('new')

  const cohorts = [...(request.answer.value?.cohorts ?? [])].sort((a, b) => b.size - a.size)
  const chosen = cohorts.find((cohort) => cohort.slug === slug)
  const defined = async ({ cohort, backfill }: Defined) => {
    await load()
    filling.value = backfill.id
    location.hash = cohort ? linkTo('cohorts', { cohort: cohort.slug }) : linkTo('cohorts')
  }
  return (
    <div class={`split narrow-first ${isNew || chosen ? 'chosen' : ''}`}>
      <List
        cohorts={cohorts}
        chosen={slug}
        state={request.error.value ? <ErrorNote error={request.error.value} /> : undefined}
        isLoaded={request.answer.value !== undefined}
        busy={request.busy.value}
        onRefresh={() => void load()}
      />
      {(isNew || chosen) && (
        <a class="phone-only" href={linkTo('cohorts')}>
          ← All cohorts
        </a>
      )}
      {isNew ? (
        <Define key="new" cohorts={cohorts} onDefined={defined} onCancel={() => (location.hash = linkTo('cohorts'))} />
      ) : chosen ? (
        <Detail key={chosen.slug} cohort={chosen} cohorts={cohorts} filling={filling.value} onDefined={defined} onFilled={load} />
      ) : (
        <section class="card" aria-label="Cohort">
          <Empty title={slug && request.answer.value ? `There is no cohort ${slug}` : 'No cohort chosen'}>
            Choose a cohort to see who is in it and why, or define a new one.
          </Empty>
        </section>
      )}
    </div>
  )
}

function List(props: {
  cohorts: Cohort[]
  chosen: string | null
  state: preact.JSX.Element | undefined
  isLoaded: boolean
  busy: boolean
  onRefresh: () => void
}) {
  const largest = Math.max(1, ...props.cohorts.map((cohort) => cohort.size))
  const mayDefine = may(session.value?.role ?? 'viewer', 'define')
  return (
    <section class="card" aria-label="Cohorts" aria-busy={props.busy}>
      <div class="card-head">
        <h2>By size</h2>
        <span class="actions">
          <button type="button" class="quiet" onClick={props.onRefresh} disabled={props.busy}>
            Refresh
          </button>
          {mayDefine && (
            <a class="button primary" href={linkTo('cohorts', { new: '1' })}>
              New cohort
            </a>
          )}
        </span>
      </div>
      {props.state ??
        (props.cohorts.length > 0 ? (
          <ul class="cohorts">
            {props.cohorts.map((cohort) => (
              <li key={cohort.slug}>
                <a
                  href={linkTo('cohorts', { cohort: cohort.slug })}
                  aria-current={props.chosen === cohort.slug ? 'true' : undefined}
                >
                  <span class="cohort-name">{cohort.name}</span>
                  {cohort.kind === 'rule' && <span class="tag">rule</span>}
                  <span class="cohort-size">{count(cohort.size)}</span>
                  <span class="bar-track" aria-hidden="true">
                    <span style={{ width: `${(cohort.size / largest) * 100}%` }} />
                  </span>
                </a>
              </li>
            ))}
          </ul>
        ) : (
          <Empty title={props.isLoaded ? 'No cohorts yet' : 'Loading…'}>
            {props.isLoaded ? 'Press New cohort to define the first one.' : 'This takes a moment.'}
          </Empty>
        ))}
      <Asked call={listCohorts()} />
    </section>
  )
}
