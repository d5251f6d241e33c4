// A cohort to define or to change: by interest, by a rule, or of other cohorts.

import { type Signal, useSignal, useSignalEffect } from '@preact/signals'

import { changeCohort, combineCohorts, type Combination, createCohort, type Definition } from '../../calls/cohorts'
import { useRequest } from '../../request'
import type { Cohort, Combined, Defined } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Choice } from '../../ui/choice'
import { ErrorNote } from '../../ui/error-note'
import { RuleField } from '../../ui/rule-field'
import { count } from '../../ui/words'

type Kind = 'interest' | 'rule' | 'combination'

const KINDS: { value: Kind; label: string }[] = [
  { value: 'interest', label: 'By interest' },
  { value: 'rule', label: 'By rule' },
  { value: 'combination', label: 'Of others' },
]

const HINTS: Record<Kind, string> = {
  interest: 'Say in a sentence what belongs there. The language model finds the people whose interests say so.',
  rule: 'One line that holds for those who are in it: age, place, visits, other cohorts and more.',
  combination: 'People of several cohorts, or of one and not of another.',
}

type Part = '' | keyof Combination

export function Define(props: {
  cohort?: Cohort
  cohorts: Cohort[]
  onDefined: (defined: Defined) => Promise<void>
  onCancel: () => void
}) {
  const { cohort } = props
  const kind = useSignal<Kind>(cohort?.kind === 'rule' ? 'rule' : 'interest')
  const name = useSignal(cohort?.name ?? '')
  const description = useSignal(cohort?.description ?? '')
  const examples = useSignal((cohort?.examples ?? []).join(', '))
  const threshold = useSignal(cohort?.threshold ?? 0.5)
  const expression = useSignal(cohort?.expression ?? '')
  const parts = useSignal<Record<string, Part>>({})
  const request = useRequest<Defined>()

  const definition = (): Definition => {
    const named = { name: name.value.trim(), description: description.value.trim() }
    if (kind.value === 'rule') return { ...named, expression: expression.value.trim() }
    if (kind.value === 'combination') return { ...named, ...combinationOf(parts.value) }
    return { ...named, examples: listOf(examples.value), threshold: threshold.value }
  }
  const call = cohort ? changeCohort(cohort.slug, definition()) : createCohort(definition())
  const submit = async (event: Event) => {
    event.preventDefault()
    const defined = await request.run(call)
    if (defined) await props.onDefined(defined)
  }
  return (
    <form class="card" aria-label={cohort ? `Change ${cohort.name}` : 'New cohort'} onSubmit={submit}>
      <div class="card-head">
        <h2>{cohort ? `Change ${cohort.name}` : 'New cohort'}</h2>
        {!cohort && (
          <Choice legend="Kind" name="kind" options={KINDS} value={kind.value} onChange={(next) => (kind.value = next)} />
        )}
      </div>
      <p class="small">{HINTS[kind.value]}</p>
      <label class="field">
        Name
        <input value={name.value} required maxLength={80} placeholder="Sailing" onInput={(event) => (name.value = event.currentTarget.value)} />
      </label>
      <label class="field">
        Description
        <input
          value={description.value}
          required={kind.value === 'interest'}
          placeholder={kind.value === 'interest' ? 'Sailing, yachts, regattas and life at sea.' : 'Optional'}
          onInput={(event) => (description.value = event.currentTarget.value)}
        />
      </label>
      {kind.value === 'interest' && <InterestFields examples={examples} threshold={threshold} />}
      {kind.value === 'rule' && <RuleField text={expression} cohorts={props.cohorts.map(({ name }) => name)} />}
      {kind.value === 'combination' && <Combine parts={parts} cohorts={props.cohorts} />}
      {request.error.value && <ErrorNote error={request.error.value} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={request.busy.value}>
          {request.busy.value ? 'Saving…' : cohort ? 'Save' : 'Define it'}
        </button>
        <button type="button" class="quiet" onClick={props.onCancel}>
          Cancel
        </button>
      </div>
      <Asked call={call} />
    </form>
  )
}

function InterestFields({ examples, threshold }: { examples: Signal<string>; threshold: Signal<number> }) {
  return (
    <>
      <label class="field">
        Typical interests, with commas between (optional)
        <input
          value={examples.value}
          placeholder="regatta, catamaran, yacht charter"
          onInput={(event) => (examples.value = event.currentTarget.value)}
        />
      </label>
      <label class="field">
        <span>
          How sure must it be? <span class="small">{threshold.value.toFixed(2)}: lower takes in more people</span>
        </span>
        <input
          type="range"
          min="0.05"
          max="0.95"
          step="0.05"
          value={threshold.value}
          onInput={(event) => (threshold.value = Number(event.currentTarget.value))}
        />
      </label>
    </>
  )
}

function Combine({ parts, cohorts }: { parts: Signal<Record<string, Part>>; cohorts: Cohort[] }) {
  const request = useRequest<Combined>()
  useSignalEffect(() => {
    const of = combinationOf(parts.value)
    if (of.all.length + of.any.length > 0) void request.run(combineCohorts(of))
    else request.answer.value = undefined
  })
  const found = request.answer.value
  return (
    <fieldset class="combine">
      <legend class="field-label">Who is in it</legend>
      <ul>
        {cohorts.map(({ slug, name }) => (
          <li key={slug}>
            <label for={`part-${slug}`}>{name}</label>
            <select
              id={`part-${slug}`}
              value={parts.value[slug] ?? ''}
              onChange={(event) => (parts.value = { ...parts.value, [slug]: event.currentTarget.value as Part })}
            >
              <option value="">–</option>
              <option value="all">must be in</option>
              <option value="any">in one of</option>
              <option value="none">not in</option>
            </select>
          </li>
        ))}
      </ul>
      <div class="rule-says" role="status">
        {found ? (
          <p>
            <strong>{count(found.size)}</strong> people, exactly: <code>{found.expression}</code>
          </p>
        ) : (
          <p class="small">Choose at least one cohort that people must be in.</p>
        )}
      </div>
      {request.error.value && <ErrorNote error={request.error.value} />}
    </fieldset>
  )
}

export function combinationOf(parts: Record<string, Part>): Combination {
  const of = (part: Part) => Object.keys(parts).filter((slug) => parts[slug] === part)
  return { all: of('all'), any: of('any'), none: of('none') }
}

const listOf = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((one) => one.trim())
    .filter(Boolean)
