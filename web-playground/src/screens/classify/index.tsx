// Ask the model about interests, see why it answers as it does, and correct it.

import { useComputed, useSignal } from '@preact/signals'

import { classify } from '../../calls/classify'
import { useRequest } from '../../request'
import type { Classification } from '../../shapes'
import { Bars } from '../../ui/bars'
import { may } from '../../permissions'
import { session } from '../../session'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { Correct, Corrections } from './correct'
import { InterestMap } from './map'
import { Neighbours } from './neighbours'

/** More texts than this are work for the API, not for a page. */
const TEXTS_MAX = 20

/** Scores shown at first; all are one click away. */
const SHOWN_SCORES_MAX = 5

export function Classify() {
  const text = useSignal('nike shoes\ncrcket\nasdf')
  const request = useRequest<{ results: Classification[] }>()
  const call = useComputed(() => classify(linesOf(text.value)))
  const submit = (event: Event) => {
    event.preventDefault()
    if (linesOf(text.value).length > 0) void request.run(call.value)
  }
  const results = request.answer.value?.results ?? []
  return (
    <div class="stack">
      <div class="split narrow-first">
        <form class="card" onSubmit={submit}>
          <label class="field">
            Interests, one on each line
            <textarea
              class="interests"
              value={text.value}
              spellcheck={false}
              required
              onInput={(event) => (text.value = event.currentTarget.value)}
            />
          </label>
          <div class="actions">
            <button type="submit" class="primary" disabled={request.busy.value}>
              {request.busy.value ? 'Classifying…' : 'Classify'}
            </button>
            <span class="small">Up to {TEXTS_MAX} at a time.</span>
          </div>
          <Asked call={call.value} />
        </form>
        <section class="stack" aria-label="Classification" aria-busy={request.busy.value}>
          {request.error.value ? (
            <div class="card">
              <ErrorNote error={request.error.value} />
            </div>
          ) : results.length > 0 ? (
            results.map((result, index) => <Result key={`${index} ${result.text}`} result={result} />)
          ) : (
            <div class="card">
              <Empty title="Nothing classified yet">Write an interest, misspelt if you like, then press Classify.</Empty>
            </div>
          )}
        </section>
      </div>
      <InterestMap
        onChoose={(interest) => {
          text.value = interest
          void request.run(classify([interest]))
        }}
      />
      <Corrections />
    </div>
  )
}

function Result({ result }: { result: Classification }) {
  const isIn = new Set(result.cohorts ?? [])
  const bars = (result.scores ?? []).map(({ cohort, score }) => ({
    label: cohort,
    value: score,
    strong: isIn.has(cohort),
  }))
  const readAs = repairOf(result)
  return (
    <article class="card">
      <div class="card-head">
        <h2>
          {result.text}
          {readAs && <span class="read-as"> read as “{readAs}”</span>}
        </h2>
        <span>
          {[...isIn].map((cohort) => (
            <span key={cohort} class="badge good">
              {cohort}
            </span>
          ))}
          {isIn.size === 0 && <span class="badge plain">no cohort</span>}
        </span>
      </div>
      <Bars bars={bars.slice(0, SHOWN_SCORES_MAX)} label={`Best scores of ${result.text}`} />
      <Why result={result} />
      {bars.length > SHOWN_SCORES_MAX && (
        <details>
          <summary>All {bars.length} scores</summary>
          <Bars bars={bars.slice(SHOWN_SCORES_MAX)} label={`Other scores of ${result.text}`} />
        </details>
      )}
      <Neighbours interest={result.normalised ?? result.text} />
      {may(session.value?.role ?? 'viewer', 'define') && <Correct result={result} />}
    </article>
  )
}

/** The examples that are nearest are what the score rests on most. */
function Why({ result }: { result: Classification }) {
  const nearest = result.nearest ?? []
  if (nearest.length === 0) return null
  return (
    <div>
      <h3>Why: the examples nearest to it</h3>
      <ul class="near" aria-label={`Examples nearest to ${result.text}`}>
        {nearest.map((near) => (
          <li key={near.term + near.cohort}>
            {near.term} <span class="small">{near.cohort}, {near.similarity.toFixed(2)}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** The text that was understood, when it is not the one that was written. */
function repairOf(result: Classification): string | undefined {
  if (typeof result.repaired === 'string' && result.repaired !== result.text) return result.repaired
  return result.repaired === true ? result.normalised : undefined
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .slice(0, TEXTS_MAX)
