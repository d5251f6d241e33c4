// What people like, as a map: interests that mean nearly the same lie near each other.

import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import type { ApiError } from '../../api'
import { frequentInterests } from '../../calls/analytics'
import { classify } from '../../calls/classify'
import { neighboursOf } from '../../calls/people'
import { asApiError } from '../../request'
import { send } from '../../session'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { plural } from '../../ui/words'

/** Interests on the map: enough to see regions, few enough to draw at once. */
const POINTS_MAX = 150

/** Neighbours of each that pull. */
const EACH = 9

/** Interests of which neighbours are asked for in one request: the server takes so many fields of the root. */
const AT_ONCE = 20

/** Points that carry their name; the others say it on hover and on focus. */
const NAMED = 26

const HEIGHT = 460

/** Narrower than this, in pixels, there is room for few names. */
const NARROW = 600

/** Room for names at the edges. */
const MARGIN = 34

interface Point {
  interest: string
  people: number
  cohort: string | undefined
  /** Shares of the width and of the height. */
  x: number
  y: number
}

export function InterestMap({ onChoose }: { onChoose: (interest: string) => void }) {
  const points = useSignal<Point[]>([])
  const busy = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const place = useRef<HTMLDivElement>(null)
  const width = useSignal(0)
  useEffect(() => {
    const box = place.current
    if (!box) return
    const watch = new ResizeObserver(() => (width.value = box.clientWidth))
    watch.observe(box)
    return () => watch.disconnect()
  }, [])
  const draw = async () => {
    busy.value = true
    error.value = undefined
    try {
      points.value = await pointsOf()
    } catch (cause) {
      error.value = asApiError(cause)
    }
    busy.value = false
  }
  const cohorts = [...new Set(points.value.flatMap(({ cohort }) => cohort ?? []))].sort()
  const angle = (cohort: string) => String(Math.round((cohorts.indexOf(cohort) * 360) / cohorts.length))
  const isNarrow = width.value < NARROW
  const radius = (people: number) => (4 + Math.min(Math.sqrt(people), 8)) * (isNarrow ? 0.65 : 1)
  return (
    <section class="card" aria-label="Map of interests" aria-busy={busy.value}>
      <div class="card-head">
        <h2>Map of what people like</h2>
        <button type="button" disabled={busy.value} onClick={() => void draw()}>
          {busy.value ? 'Drawing…' : points.value.length > 0 ? 'Draw it anew' : 'Draw the map'}
        </button>
      </div>
      <p class="small">
        The {POINTS_MAX} most frequent interests. Each is pulled towards the {EACH - 1} others that the language model
        finds most alike, so near means alike; left, right, up and down mean nothing. The colour is the cohort it
        belongs to most surely, the size how many people have it.
      </p>
      {error.value && <ErrorNote error={error.value} />}
      <div class="map" ref={place} style={{ minHeight: `${HEIGHT}px` }}>
        {points.value.length > 0 ? (
          <svg width="100%" height={HEIGHT} role="group" aria-label="Interests by likeness">
            {points.value.map((point, index) => (
              <g
                key={point.interest}
                class={index < (isNarrow ? NAMED / 3 : NAMED) ? '' : 'silent'}
                transform={`translate(${MARGIN + point.x * (width.value - 2 * MARGIN)} ${MARGIN + point.y * (HEIGHT - 2 * MARGIN)})`}
                role="button"
                tabindex={0}
                aria-label={`${point.interest}, ${point.cohort ?? 'no cohort'}, ${plural(point.people, 'person', 'people')}`}
                onClick={() => onChoose(point.interest)}
                onKeyDown={(event) => event.key === 'Enter' && onChoose(point.interest)}
              >
                <circle
                  r={radius(point.people)}
                  class={point.cohort ? '' : 'none'}
                  style={point.cohort ? { '--angle': angle(point.cohort) } : {}}
                />
                <text y={-radius(point.people) - 4} aria-hidden="true">
                  {point.interest}
                </text>
              </g>
            ))}
          </svg>
        ) : (
          <Empty title={busy.value ? 'Asking for neighbours…' : 'Not drawn yet'}>
            {busy.value ? 'This takes a few seconds.' : 'Drawing it asks the server for the neighbours of each interest.'}
          </Empty>
        )}
      </div>
      {cohorts.length > 0 && (
        <ul class="legend" aria-label="Colours">
          {cohorts.map((cohort) => (
            <li key={cohort}>
              <span class="swatch" style={{ '--angle': angle(cohort) }} aria-hidden="true" />
              {cohort}
            </li>
          ))}
          <li>
            <span class="swatch none" aria-hidden="true" />
            no cohort
          </li>
        </ul>
      )}
      <Asked call={neighboursOf(['tennis', 'golf'], EACH)} what="How neighbours are asked for" />
    </section>
  )
}

async function pointsOf(): Promise<Point[]> {
  const { interests } = await send(frequentInterests(POINTS_MAX))
  const names = interests.map(({ interest }) => interest)
  if (names.length === 0) return []
  const { results } = await send(classify(names))
  const pairs = await pairsAmong(names)
  const { placeByLikeness } = await import('../../graph/layout')
  const places = placeByLikeness(names, pairs)
  return interests.map(({ interest, people }, index) => {
    const { x, y } = places.get(interest) ?? { x: 0, y: 0 }
    return { interest, people, cohort: results[index]?.cohorts?.[0], x, y }
  })
}

/** Who is a neighbour of whom, among those on the map. */
async function pairsAmong(names: string[]): Promise<{ from: string; to: string; likeness: number }[]> {
  const known = new Set(names)
  const pairs: { from: string; to: string; likeness: number }[] = []
  for (let begin = 0; begin < names.length; begin += AT_ONCE) {
    const some = names.slice(begin, begin + AT_ONCE)
    const found = await send(neighboursOf(some, EACH))
    for (const [index, from] of some.entries()) {
      for (const { interest: to, similarity } of found[`n${index}`]?.hits ?? []) {
        if (to !== from && known.has(to)) pairs.push({ from, to, likeness: similarity ?? 0 })
      }
    }
  }
  return pairs
}
