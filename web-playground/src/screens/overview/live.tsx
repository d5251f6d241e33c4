// What happens right now, by subscription: how much in each second, and the latest of it.

import { useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'

import {
  COHORT_CHANGED,
  type CohortChanged,
  PROFILE_CHANGED,
  PROFILE_MERGED,
  type ProfileChanged,
  type ProfileMerged,
  useSubscription,
} from '../../live'
import { linkTo } from '../../route'
import { LineChart } from '../../ui/line-chart'
import { LiveMark } from '../../ui/live-mark'
import { AsGraphql } from '../../ui/asked'

/** How far back the chart reaches, in seconds. */
const SECONDS = 60

/** Events in the ticker. */
const SHOWN = 7

type Kind = 'changed' | 'merged' | 'moved'

interface Happening {
  key: string
  badge: string
  tone: string
  id: string
  text: string
}

const none = () => Array.from({ length: SECONDS }, () => 0)

export function LiveCard({ onEvent }: { onEvent: () => void }) {
  const latest = useSignal<Happening[]>([])
  const counts = useSignal<Record<Kind, number[]>>({ changed: none(), merged: none(), moved: none() })
  const second = useSignal(Math.floor(Date.now() / 1000))

  useEffect(() => {
    const timer = setInterval(() => {
      second.value = Math.floor(Date.now() / 1000)
      const on = (numbers: number[]) => [...numbers.slice(1), 0]
      const { changed, merged, moved } = counts.peek()
      counts.value = { changed: on(changed), merged: on(merged), moved: on(moved) }
    }, 1000)
    return () => clearInterval(timer)
  }, [])

  const happened = (kind: Kind, happening: Happening) => {
    const numbers = counts.peek()[kind]
    counts.value = { ...counts.peek(), [kind]: [...numbers.slice(0, -1), (numbers.at(-1) ?? 0) + 1] }
    latest.value = [happening, ...latest.peek()].slice(0, SHOWN)
    onEvent()
  }
  useSubscription<ProfileChanged>(PROFILE_CHANGED, {}, ({ profileChanged: { cursor, profileId, created } }) =>
    happened('changed', {
      key: cursor,
      badge: created ? 'new' : 'changed',
      tone: created ? 'good' : 'plain',
      id: profileId,
      text: created ? 'came to be' : 'was seen again',
    }),
  )
  useSubscription<ProfileMerged>(PROFILE_MERGED, {}, ({ profileMerged: { cursor, absorbed, survivor } }) =>
    happened('merged', { key: cursor, badge: 'merge', tone: '', id: survivor, text: `and ${absorbed} are one person` }),
  )
  useSubscription<CohortChanged>(COHORT_CHANGED, {}, ({ cohortChanged: { cursor, profileId, entered, cohort, reason } }) =>
    happened('moved', {
      key: cursor,
      badge: entered ? 'entered' : 'left',
      tone: entered ? 'good' : 'warn',
      id: profileId,
      text: `${cohort.name}${reason.length > 0 ? `: ${reason.join(', ')}` : ''}`,
    }),
  )

  const { times, lines } = useMemo(() => {
    const { changed, merged, moved } = counts.value
    return {
      times: changed.map((_, index) => second.value - SECONDS + 1 + index),
      lines: [
        { label: 'people seen', values: changed, colour: '--accent', filled: true },
        { label: 'cohort moves', values: moved, colour: '--hue-2' },
        { label: 'merges', values: merged, colour: '--hue-1' },
      ],
    }
  }, [counts.value, second.value])
  const sum = (kind: Kind) => counts.value[kind].reduce((a, b) => a + b, 0)
  return (
    <section class="card" aria-label="Right now">
      <div class="card-head">
        <h2>Right now</h2>
        <LiveMark />
      </div>
      <LineChart
        times={times}
        lines={lines}
        height={150}
        label={`In the last minute ${sum('changed')} people were seen, ${sum('moved')} cohort moves and ${sum('merged')} merges`}
      />
      <ul class="ticker" aria-label="Latest events">
        {latest.value.length === 0 && (
          <li class="small">
            Quiet. Send something on the Ingest screen or browse in the <a href={linkTo('simulator')}>simulator</a>, and
            it shows here at once.
          </li>
        )}
        {latest.value.map((one) => (
          <li key={one.key + one.badge}>
            <span class={`badge ${one.tone}`}>{one.badge}</span> <a href={linkTo('people', { id: one.id })}>{one.id}</a>{' '}
            {one.text}
          </li>
        ))}
      </ul>
      <details class="asked">
        <summary>The subscription in GraphQL</summary>
        <AsGraphql text={{ query: COHORT_CHANGED, variables: {} }} />
      </details>
    </section>
  )
}
