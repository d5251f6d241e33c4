// One cohort: how it is defined, how it grew, who is in it, and what it was before.

import { useSignal } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'

import type { ApiError } from '../../api'
import { series } from '../../calls/analytics'
import { backfill, dropCohort, exportCohort, type ExportFormat, oneCohort } from '../../calls/cohorts'
import { download } from '../../download'
import { COHORT_CHANGED, type CohortChanged, useSubscription } from '../../live'
import { may } from '../../permissions'
import { asApiError, useRequest } from '../../request'
import { linkTo } from '../../route'
import { session } from '../../session'
import type { Backfill, Cohort, Defined, SeriesPoint } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Confirm } from '../../ui/dialog'
import { ErrorNote } from '../../ui/error-note'
import { LineChart } from '../../ui/line-chart'
import { LiveMark } from '../../ui/live-mark'
import { count, plural } from '../../ui/words'
import { Define } from './define'
import { Members } from './members'
import { Versions } from './versions'

/** How often a backfill is asked how far it is, in milliseconds. */
const POLL_MS = 400

/** The size is asked for this long after somebody came or went, in milliseconds. */
const LOOK_MS = 250

/** Comings and goings that are shown as they happen. */
const SHOWN_CHANGES = 5

interface DetailProps {
  cohort: Cohort
  cohorts: Cohort[]
  /** The backfill that gives it its members, when it was just defined. */
  filling: string | undefined
  onDefined: (defined: Defined) => Promise<void>
  onFilled: () => Promise<unknown>
}

export function Detail({ cohort, cohorts, filling, onDefined, onFilled }: DetailProps) {
  const editing = useSignal(false)
  const fresh = useRequest<Cohort>()
  const changes = useSignal<CohortChanged['cohortChanged'][]>([])
  /** Grows when members should be read anew. */
  const round = useSignal(0)
  const size = fresh.answer.value?.size ?? cohort.size

  // While a cohort fills, thousands enter at once: one look for many of them.
  const due = useRef(false)
  const look = () => {
    if (due.current) return
    due.current = true
    setTimeout(() => {
      due.current = false
      void fresh.run(oneCohort(cohort.slug))
    }, LOOK_MS)
  }
  useSubscription<CohortChanged>(COHORT_CHANGED, { cohort: cohort.slug }, ({ cohortChanged }) => {
    changes.value = [cohortChanged, ...changes.peek()].slice(0, SHOWN_CHANGES)
    look()
  })
  const filled = async () => {
    await onFilled()
    fresh.answer.value = undefined
    round.value++
  }
  if (editing.value) {
    return (
      <Define
        cohort={fresh.answer.value ?? cohort}
        cohorts={cohorts}
        onCancel={() => (editing.value = false)}
        onDefined={async (defined) => {
          await onDefined(defined)
          editing.value = false
        }}
      />
    )
  }
  return (
    <div class="stack">
      <section class="card" aria-label="Cohort">
        <div class="card-head">
          <h2 class="person">{cohort.name}</h2>
          <LiveMark />
        </div>
        <p class="cohort-count">
          <strong>{count(size)}</strong> {size === 1 ? 'person' : 'people'}
          <span class="tag">{cohort.kind === 'rule' ? 'by rule' : 'by interest'}</span>
          {cohort.version && <span class="small">version {cohort.version}</span>}
        </p>
        {filling && <Filling key={filling} id={filling} onDone={filled} />}
        {cohort.description && <p>{cohort.description}</p>}
        {cohort.expression && <pre>{cohort.expression}</pre>}
        {(cohort.examples ?? []).length > 0 && <Examples examples={cohort.examples ?? []} />}
        <Growth cohort={cohort} round={round.value} />
        {changes.value.length > 0 && (
          <ul class="changes" aria-label="Comings and goings">
            {changes.value.map((change) => (
              <li key={change.cursor}>
                <span class={`badge ${change.entered ? 'good' : 'plain'}`}>{change.entered ? 'entered' : 'left'}</span>{' '}
                <a href={linkTo('people', { id: change.profileId })}>{change.profileId}</a>{' '}
                <span class="small">{change.reason.join(', ')}</span>
              </li>
            ))}
          </ul>
        )}
        <Actions cohort={cohort} onEdit={() => (editing.value = true)} onDefined={onDefined} />
      </section>
      <Versions key={`versions ${cohort.slug} ${cohort.version}`} cohort={cohort} onDefined={onDefined} />
      <Members key={`${cohort.slug} ${round.value}`} cohort={cohort} />
    </div>
  )
}

function Filling({ id, onDone }: { id: string; onDone: () => Promise<void> }) {
  const request = useRequest<Backfill>()
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let gone = false
    const look = async () => {
      const found = await request.run(backfill(id))
      if (gone || !found) return
      if (found.finished_at) await onDone()
      else timer = setTimeout(() => void look(), POLL_MS)
    }
    void look()
    return () => {
      gone = true
      clearTimeout(timer)
    }
  }, [id])
  const found = request.answer.value
  if (request.error.value) return <ErrorNote error={request.error.value} />
  const done = found?.finished_at
  return (
    <div class="filling" role="status">
      <progress aria-label="People looked at" value={done ? 1 : (found?.progress ?? 0)} max={1} />
      <span class="small">
        {done ? `Everybody was looked at: ${plural(found.changed, 'person', 'people')} moved.` : 'Looking at everybody…'}
      </span>
    </div>
  )
}

function Examples({ examples }: { examples: string[] }) {
  return (
    <details>
      <summary>{plural(examples.length, 'typical interest')}</summary>
      <ul class="chips">
        {examples.map((example) => (
          <li key={example}>{example}</li>
        ))}
      </ul>
    </details>
  )
}

function Growth({ cohort, round }: { cohort: Cohort; round: number }) {
  const request = useRequest<{ points: SeriesPoint[] }>()
  const call = series({ of: 'cohort', name: cohort.slug, step: 'hour' })
  useEffect(() => void request.run(call), [cohort.slug, round])
  const points = request.answer.value?.points ?? []
  const { times, lines } = useMemo(
    () => ({
      times: points.map(({ at }) => Date.parse(at) / 1000),
      lines: [{ label: 'Members', values: points.map(({ size }) => size), colour: '--accent', filled: true }],
    }),
    [request.answer.value],
  )
  if (request.error.value) return <ErrorNote error={request.error.value} />
  return (
    <div>
      <h3>Members, last seven days</h3>
      <LineChart
        times={times}
        lines={lines}
        height={150}
        label={`${cohort.name} grew from ${points[0]?.size ?? 0} to ${points.at(-1)?.size ?? 0} members in seven days`}
      />
      <Asked call={call} what="The chart's request" />
    </div>
  )
}

function Actions(props: { cohort: Cohort; onEdit: () => void; onDefined: (defined: Defined) => Promise<void> }) {
  const role = session.value?.role ?? 'viewer'
  const format = useSignal<ExportFormat>('csv')
  const error = useSignal<ApiError | undefined>(undefined)
  const dropping = useSignal(false)
  const request = useRequest<Defined>()
  const call = exportCohort(props.cohort.slug, format.value)
  const fetchFile = () =>
    download(call, `${props.cohort.slug}.${format.value}`).then(
      () => (error.value = undefined),
      (cause: unknown) => (error.value = asApiError(cause)),
    )
  const drop = async () => {
    dropping.value = false
    const dropped = await request.run(dropCohort(props.cohort.slug))
    if (dropped) await props.onDefined({ ...dropped, cohort: null })
  }
  return (
    <>
      <div class="actions">
        {may(role, 'define') && (
          <button type="button" onClick={props.onEdit}>
            Change
          </button>
        )}
        {may(role, 'export') && (
          <span class="joined">
            <select
              aria-label="Format of the file"
              value={format.value}
              onChange={(event) => (format.value = event.currentTarget.value as ExportFormat)}
            >
              <option value="csv">CSV</option>
              <option value="ndjson">NDJSON</option>
              <option value="parquet">Parquet</option>
            </select>
            <button type="button" onClick={() => void fetchFile()}>
              Export
            </button>
          </span>
        )}
        <a class="button" href={linkTo('people', { cohort: props.cohort.slug })}>
          Search in it
        </a>
        {may(role, 'define') && (
          <button type="button" class="danger-quiet" onClick={() => (dropping.value = true)}>
            Drop…
          </button>
        )}
      </div>
      {error.value && <ErrorNote error={error.value} />}
      {request.error.value && <ErrorNote error={request.error.value} />}
      {may(role, 'export') && <Asked call={call} what="The export" />}
      {dropping.value && (
        <Confirm
          title={`Drop ${props.cohort.name}?`}
          action="Drop it"
          onCancel={() => (dropping.value = false)}
          onConfirm={() => void drop()}
        >
          <p>Everybody leaves it, and webhooks that follow it hear of that. Its versions are kept: the API can bring it back.</p>
        </Confirm>
      )}
    </>
  )
}
