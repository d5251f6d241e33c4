// Find people while typing, count them by cohort and place, narrow down by these, and open one.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { type Question, searchUsers, similarInterests, suggest } from '../calls/people'
import { isAnyMasked } from '../masked'
import { useRequest } from '../request'
import { route } from '../route'
import type { FacetValue, InterestHit, InterestHits, Suggestions, UserHits } from '../shapes'
import { Asked } from '../ui/asked'
import { Empty } from '../ui/empty'
import { ErrorNote } from '../ui/error-note'
import { MaskedNote } from '../ui/masked-note'
import { Pager } from '../ui/pager'
import { PERSON_HEAD, PersonRow } from '../ui/person-row'
import { Table } from '../ui/table'
import { count, plural } from '../ui/words'
import { Conflicts } from './conflicts'
import { type Key, Person } from './person'

/** People on a page. */
const PAGE = 20

/** Interests that mean nearly the same. */
const SIMILAR = 8

/** A pause in typing that is worth a request, in milliseconds. */
const PAUSE_MS = 120

type Filter = 'cohort' | 'city' | 'country'

const FACETS: { filter: Filter; title: string; of: (found: UserHits) => FacetValue[] }[] = [
  { filter: 'cohort', title: 'Cohort', of: (found) => found.facets.cohorts },
  { filter: 'city', title: 'City', of: (found) => found.facets.cities },
  { filter: 'country', title: 'Country', of: (found) => found.facets.countries },
]

const KEYS: Key[] = ['email', 'cookie', 'id']

/** The search, or whoever the address names. The search stays as it was while somebody is looked at. */
export function People() {
  const named = useSignal<{ by: Key; value: string } | undefined>(undefined)
  useSignalEffect(() => {
    const { screen, params } = route.value
    if (screen !== 'people') return
    const by = KEYS.find((key) => params.get(key))
    named.value = by && { by, value: params.get(by) ?? '' }
  })
  return (
    <>
      {named.value && <Person key={named.value.by + named.value.value} {...named.value} />}
      <div hidden={named.value !== undefined}>
        <Search />
        <div class="answer">
          <Conflicts />
        </div>
      </div>
    </>
  )
}

function Search() {
  const question = useSignal<Question>({})
  const offset = useSignal(0)
  const found = useRequest<UserHits>()
  // From another question on, until it is asked: what is shown answers the one before, whose pages are not to be
  // turned any more.
  const isWaiting = useSignal(false)
  const suggested = useRequest<Suggestions>()
  const call = useComputed(() => searchUsers(question.value, PAGE, offset.value))

  const ask = (next: Question) => {
    question.value = next
    offset.value = 0
  }
  // A link from elsewhere names an interest or a cohort.
  useSignalEffect(() => {
    const { screen, params } = route.value
    const [interest, cohort] = [params.get('interest'), params.get('cohort')]
    if (screen === 'people' && (interest || cohort)) ask({ ...(interest ? { interest } : {}), ...(cohort ? { cohort } : {}) })
  })
  useSignalEffect(() => {
    const next = call.value
    const typed = question.value.q?.trim() ?? ''
    isWaiting.value = true
    const timer = setTimeout(() => {
      void found.run(next)
      isWaiting.value = false
      if (typed) void suggested.run(suggest(typed))
      else suggested.answer.value = undefined
    }, PAUSE_MS)
    return () => clearTimeout(timer)
  })

  const page = found.answer.value
  const isBusy = found.busy.value || isWaiting.value
  const { q = '', interest } = question.value
  return (
    <>
      <form class="card" role="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label="Search people"
          placeholder="A name, an address, a cookie, a place or an interest: ann smi, brooklin, crick…"
          value={q}
          maxLength={256}
          autocapitalize="none"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => ask({ ...question.value, q: event.currentTarget.value })}
        />
        {interest && (
          <p class="small">
            Only people who like <strong>{interest}</strong>{' '}
            <button type="button" class="quiet" onClick={() => ask({ ...question.value, interest: '' })}>
              Anything again
            </button>
          </p>
        )}
        <Interests
          label="Suggested interests"
          hits={suggested.answer.value?.interests ?? []}
          onChoose={(chosen) => ask({ interest: chosen })}
        />
        {interest && <Similar key={interest} interest={interest} onChoose={(chosen) => ask({ interest: chosen })} />}
        <Asked call={call.value} />
      </form>
      <div class="split narrow-first results answer">
        <section class="card" aria-label="Narrow down">
          <h2>Narrow down</h2>
          {page ? (
            FACETS.map((facet) => (
              <Facet
                key={facet.filter}
                title={facet.title}
                values={facet.of(page)}
                chosen={question.value[facet.filter]}
                onChoose={(value) => ask({ ...question.value, [facet.filter]: value })}
              />
            ))
          ) : (
            <Empty title="Loading…">This takes a moment.</Empty>
          )}
        </section>
        <section class="card" aria-label="Found people" aria-busy={isBusy}>
          {found.error.value ? (
            <ErrorNote error={found.error.value} />
          ) : page && page.users.length > 0 ? (
            <>
              <div class="card-head">
                <h2>{plural(page.total, 'person', 'people')}</h2>
                {page.lenient && <span class="small">few are as typed: typos are forgiven</span>}
              </div>
              {!page.complete && <p class="note warn">The index is being built: somebody may be missing.</p>}
              <MaskedNote when={isAnyMasked(page.users.map((hit) => hit.user_profile))} />
              <Table label="People who were found" head={PERSON_HEAD}>
                {page.users.map((hit) => (
                  <PersonRow key={hit.id} user={hit.user_profile} id={hit.id} />
                ))}
              </Table>
              <Pager
                previous={
                  page.offset > 0 && !isBusy ? () => (offset.value = Math.max(0, page.offset - PAGE)) : undefined
                }
                next={page.next_offset && !isBusy ? () => (offset.value = page.next_offset ?? 0) : undefined}
              >
                <span class="small">
                  {count(page.offset + 1)}–{count(page.offset + page.users.length)} of {count(page.total)}
                </span>
              </Pager>
            </>
          ) : page ? (
            <Empty title="Nobody was found">Try fewer words, or another spelling.</Empty>
          ) : (
            <Empty title="Loading…">This takes a moment.</Empty>
          )}
        </section>
      </div>
    </>
  )
}

/** The values of one facet; the chosen one is chosen off by another click. */
function Facet(props: {
  title: string
  values: FacetValue[]
  chosen: string | undefined
  onChoose: (value: string) => void
}) {
  const { title, values, chosen } = props
  if (values.length === 0) return null
  return (
    <div>
      <h3>{title}</h3>
      <ul class="cohorts facet" aria-label={title}>
        {values.map(({ value, name, count: of }) => (
          <li key={value}>
            <button
              type="button"
              aria-pressed={chosen === value}
              onClick={() => props.onChoose(chosen === value ? '' : value)}
            >
              <span class="cohort-name">{name}</span>
              <span class="cohort-size">{count(of)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** Interests to choose from, each with how many people have it. */
function Interests(props: { label: string; hits: InterestHit[]; onChoose: (interest: string) => void }) {
  if (props.hits.length === 0) return null
  return (
    <div>
      <h3>{props.label}</h3>
      <ul class="chips" aria-label={props.label}>
        {props.hits.map((hit) => (
          <li key={hit.interest}>
            <button type="button" class="chip" onClick={() => props.onChoose(hit.interest)}>
              {hit.interest} <span class="small">{count(hit.users)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  )
}

function Similar({ interest, onChoose }: { interest: string; onChoose: (interest: string) => void }) {
  const request = useRequest<InterestHits>()
  useEffect(() => void request.run(similarInterests(interest, SIMILAR)), [interest])
  if (request.error.value) return <ErrorNote error={request.error.value} />
  return <Interests label="Similar interests" hits={request.answer.value?.interests ?? []} onChoose={onChoose} />
}
