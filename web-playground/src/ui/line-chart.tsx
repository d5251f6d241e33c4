// A chart of lines over time, which says in words what it shows to whoever does not see it.

import { useEffect, useRef } from 'preact/hooks'

import type { Line, LineChart as Mounted } from '../chart/line'

export function LineChart(props: { times: number[]; lines: Line[]; label: string; height?: number }) {
  const { times, lines, label, height = 180 } = props
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<Mounted | undefined>(undefined)
  useEffect(() => {
    let gone = false
    void import('../chart/line').then(({ mountChart }) => {
      if (!place.current || gone || times.length === 0) return
      chart.current ??= mountChart(place.current, height)
      chart.current.show(times, lines)
    })
    return () => {
      gone = true
    }
  }, [times, lines])
  useEffect(() => () => chart.current?.destroy(), [])
  // The height is held from the start, with the legend that several lines have.
  return <div class="chart" ref={place} role="img" aria-label={label} style={{ minHeight: `${height + (lines.length > 1 ? 28 : 0)}px` }} />
}
