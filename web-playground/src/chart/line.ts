// Lines over time, by uPlot. Loaded when there is something to draw.

import 'uplot/dist/uPlot.min.css'

import uPlot from 'uplot'

export interface Line {
  label: string
  values: number[]
  /** The name of a custom property of the style sheet. */
  colour: string
  filled?: boolean
}

export interface LineChart {
  show: (times: number[], lines: Line[]) => void
  destroy: () => void
}

export function mountChart(place: HTMLElement, height: number): LineChart {
  let chart: uPlot | undefined
  let last: [number[], Line[]] | undefined
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const draw = () => last && show(...last)
  const show = (times: number[], lines: Line[]) => {
    last = [times, lines]
    chart?.destroy()
    chart = new uPlot(optionsOf(place, height, lines), [times, ...lines.map(({ values }) => values)], place)
  }
  const watch = new ResizeObserver(() => chart?.setSize({ width: place.clientWidth, height }))
  watch.observe(place)
  dark.addEventListener('change', draw)
  return {
    show,
    destroy: () => {
      watch.disconnect()
      dark.removeEventListener('change', draw)
      chart?.destroy()
    },
  }
}

function optionsOf(place: HTMLElement, height: number, lines: Line[]): uPlot.Options {
  const style = getComputedStyle(place)
  const colour = (name: string) => style.getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--muted'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1, size: 4 },
  }
  return {
    width: place.clientWidth,
    height,
    legend: { show: lines.length > 1, live: false },
    cursor: { y: false },
    axes: [axis, { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : '')) }],
    scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(high * 1.08, 1)] } },
    series: [
      {},
      ...lines.map(({ label, colour: name, filled }) => ({
        label,
        stroke: colour(name),
        width: 2,
        points: { show: false },
        ...(filled ? { fill: `${colour(name)}22` } : {}),
      })),
    ],
  }
}
