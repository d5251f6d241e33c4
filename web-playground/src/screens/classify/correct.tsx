// Where the model is wrong, say so: it is certain from then on, and an example for what is like it.

import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { correct, corrections, withdraw } from '../../calls/classify'
import { listCohorts } from '../../calls/cohorts'
import { may } from '../../permissions'
import { useRequest } from '../../request'
import { session } from '../../session'
import type { Backfill, Classification, Cohort, Correction } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'
import { when } from '../../ui/words'

/** Grows with each correction, so that the list of them is read anew. */
const made = signal(0)

export function Correct({ result }: { result: Classification }) {
  const open = useSignal(false)
  return (
    <details onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Correct it</summary>
      {open.value && <CorrectForm result={result} />}
    </details>
  )
}

function CorrectForm({ result }: { result: Classification }) {
  const cohorts = useRequest<{ cohorts: Cohort[] }>()
  const request = useRequest<{ correction: Correction; backfill: Backfill }>()
  const chosen = useSignal<string[]>(result.cohorts ?? [])
  const interest = result.normalised ?? result.text
  useEffect(() => void cohorts.run(listCohorts()), [])
  const toggle = (name: string) =>
    (chosen.value = chosen.value.includes(name) ? chosen.value.filter((one) => one !== name) : [...chosen.value, name])
  const call = correct(interest, chosen.value)
  const save = async (event: Event) => {
    event.preventDefault()
    if (await request.run(call)) made.value++
  }
  const choices = (cohorts.answer.value?.cohorts ?? []).filter(({ kind }) => kind === 'interest')
  return (
    <form class="stack" onSubmit={save}>
      <fieldset class="checks">
        <legend class="small">“{interest}” belongs to these, or to none:</legend>
        {choices.map(({ name }) => (
          <label key={name} class="check">
            <input type="checkbox" checked={chosen.value.includes(name)} onChange={() => toggle(name)} />
            {name}
          </label>
        ))}
      </fieldset>
      <div class="actions">
        <button type="submit" disabled={request.busy.value || choices.length === 0}>
          Save the correction
        </button>
        <span class="small" role="status">
          {request.answer.value && 'Saved. Everybody who has this interest is looked at again.'}
        </span>
      </div>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {cohorts.error.value && <ErrorNote error={cohorts.error.value} />}
      <Asked call={call} what="The correction" />
    </form>
  )
}

export function Corrections() {
  const request = useRequest<{ corrections: Correction[] }>()
  const withdrawing = useRequest<Backfill>()
  useEffect(() => void request.run(corrections()), [made.value])
  const found = request.answer.value?.corrections ?? []
  if (found.length === 0) return null
  const take = async (interest: string) => {
    if (await withdrawing.run(withdraw(interest))) made.value++
  }
  return (
    <section class="card" aria-label="Corrections">
      <h2>Corrections so far</h2>
      <ul class="merges">
        {found.map((one) => (
          <li key={one.interest}>
            <span>
              <strong>{one.interest}</strong> is {one.cohorts.length > 0 ? one.cohorts.join(', ') : 'in no cohort'}
              <span class="small">
                by {one.by}, {when(one.at)}
              </span>
            </span>
            {may(session.value?.role ?? 'viewer', 'define') && (
              <button type="button" class="quiet" disabled={withdrawing.busy.value} onClick={() => void take(one.interest)}>
                Withdraw
              </button>
            )}
          </li>
        ))}
      </ul>
      {withdrawing.error.value && <ErrorNote error={withdrawing.error.value} />}
      <Asked call={corrections()} />
    </section>
  )
}
