// How the platform fares: how many people, what comes in, where they belong, and how good the data is.

import { useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'

import { frequentInterests, series, type Step, summary } from '../../calls/analytics'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import type { FrequentInterest, SeriesPoint, Summary } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Choice } from '../../ui/choice'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { LineChart } from '../../ui/line-chart'
import { count } from '../../ui/words'
import { LiveCard } from './live'
import { OverlapCard } from './overlap'
import { QualityCard } from './quality'

/** Interests that are shown. */
const TOP = 12

/** The figures are asked for again this long after something happened, in milliseconds. */
const REFRESH_MS = 2_000

/** The rest is asked for again no sooner than this. */
const SLOW_REFRESH_MS = 10_000

export function Overview() {
  const request = useRequest<Summary>()
  const due = useSignal(false)
  /** When overlap and interests were asked for, which cost more than the figures. */
  const slow = useSignal(Date.now())
  const load = () => void request.run(summary())
  useEffect(load, [])
  const happened = () => {
    if (due.peek()) return
    due.value = true
    setTimeout(() => {
      due.value = false
      load()
      if (Date.now() - slow.peek() > SLOW_REFRESH_MS) slow.value = Date.now()
    }, REFRESH_MS)
  }
  const found = request.answer.value
  return (
    <div class="overview">
      <section class="card all" aria-label="Totals">
        {request.error.value ? <ErrorNote error={request.error.value} /> : <Totals found={found} />}
        <Asked call={summary()} />
      </section>
      <div class="stack">
        <LiveCard onEvent={happened} />
        <CohortsCard found={found} />
      </div>
      <div class="stack">
        <GrowthCard people={found?.people} />
        <InterestsCard round={slow.value} />
        <QualityCard found={found} />
      </div>
      <OverlapCard round={slow.value} />
    </div>
  )
}

function Totals({ found }: { found: Summary | undefined }) {
  const { accepted = 0, rejected = 0, merged = 0, duplicates = 0 } = found?.counts ?? {}
  const share = accepted + rejected > 0 ? (100 * rejected) / (accepted + rejected) : 0
  const figures: [label: string, value: number, detail: string][] = [
    ['People', found?.people ?? 0, 'one profile each'],
    ['Records', accepted, `${count(duplicates)} came twice`],
    ['Rejected', rejected, `${share.toFixed(1)} % of all`],
    ['Merges', merged, `${(100 * (found?.merge_rate ?? 0)).toFixed(1)} % of profiles`],
    ['Cohorts', found?.cohorts.length ?? 0, `${count((found?.cohorts ?? []).reduce((sum, { size }) => sum + size, 0))} memberships`],
  ]
  return (
    <dl class="figures five">
      {figures.map(([label, value, detail]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{found ? count(value) : '–'}</dd>
          <dd class="small">{found ? detail : ' '}</dd>
        </div>
      ))}
    </dl>
  )
}

const STEPS: { value: Step; label: string }[] = [
  { value: 'hour', label: '7 days' },
  { value: 'day', label: '30 days' },
]

function GrowthCard({ people }: { people: number | undefined }) {
  const step = useSignal<Step>('hour')
  const request = useRequest<{ points: SeriesPoint[] }>()
  const from = step.value === 'day' ? new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 19) + 'Z' : undefined
  const call = series({ of: 'people', step: step.value, ...(from ? { from } : {}) })
  useEffect(() => void request.run(call), [step.value, people])
  const points = request.answer.value?.points ?? []
  const { times, lines } = useMemo(
    () => ({
      times: points.map(({ at }) => Date.parse(at) / 1000),
      lines: [{ label: 'People', values: points.map(({ size }) => size), colour: '--accent', filled: true }],
    }),
    [request.answer.value],
  )
  return (
    <section class="card" aria-label="Growth">
      <div class="card-head">
        <h2>People over time</h2>
        <Choice legend="How far back" name="growth" options={STEPS} value={step.value} onChange={(next) => (step.value = next)} />
      </div>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : (
        <LineChart
          times={times}
          lines={lines}
          height={200}
          label={`People grew from ${points[0]?.size ?? 0} to ${points.at(-1)?.size ?? 0}`}
        />
      )}
      <Asked call={call} />
    </section>
  )
}

function CohortsCard({ found }: { found: Summary | undefined }) {
  const cohorts = [...(found?.cohorts ?? [])].sort((a, b) => b.size - a.size)
  const largest = Math.max(1, ...cohorts.map(({ size }) => size))
  return (
    <section class="card" aria-label="Cohort sizes">
      <div class="card-head">
        <h2>Cohorts</h2>
        <span class="small">size, and who entered and left today</span>
      </div>
      {cohorts.length > 0 ? (
        <ul class="cohorts">
          {cohorts.map((cohort) => (
            <li key={cohort.slug}>
              <a href={linkTo('cohorts', { cohort: cohort.slug })}>
                <span class="cohort-name">{cohort.name}</span>
                <span class="moves">
                  +{count(cohort.entered_day)} −{count(cohort.left_day)}
                </span>
                <span class="cohort-size">{count(cohort.size)}</span>
                <span class="bar-track" aria-hidden="true">
                  <span style={{ width: `${(cohort.size / largest) * 100}%` }} />
                </span>
              </a>
            </li>
          ))}
        </ul>
      ) : (
        <Empty title={found ? 'No cohorts yet' : 'Loading…'}>
          {found ? 'Define the first one on the Cohorts screen.' : 'This takes a moment.'}
        </Empty>
      )}
    </section>
  )
}

function InterestsCard({ round }: { round: number }) {
  const request = useRequest<{ interests: FrequentInterest[] }>()
  useEffect(() => void request.run(frequentInterests(TOP)), [round])
  const interests = request.answer.value?.interests ?? []
  const most = Math.max(1, ...interests.map(({ people }) => people))
  return (
    <section class="card" aria-label="Top interests">
      <h2>Top interests</h2>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : interests.length > 0 ? (
        <ul class="cohorts">
          {interests.map(({ interest, people }) => (
            <li key={interest}>
              <a href={linkTo('people', { interest })}>
                <span class="cohort-name">{interest}</span>
                <span class="cohort-size">{count(people)}</span>
                <span class="bar-track" aria-hidden="true">
                  <span style={{ width: `${(people / most) * 100}%` }} />
                </span>
              </a>
            </li>
          ))}
        </ul>
      ) : (
        <Empty title={request.answer.value ? 'No interests yet' : 'Loading…'}>
          {request.answer.value ? 'Send records with interests on the Ingest screen.' : 'This takes a moment.'}
        </Empty>
      )}
      <Asked call={frequentInterests(TOP)} />
    </section>
  )
}
