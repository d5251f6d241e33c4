// Numbers between 0 and 1 as bars. The number is written too, so a bar is never the only bearer of it.

export interface Bar {
  label: string
  value: number
  href?: string | undefined
  strong?: boolean
  detail?: string | undefined
}

export function Bars({ bars, label }: { bars: Bar[]; label: string }) {
  return (
    <ul class="bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.label} class={bar.strong ? 'strong' : ''}>
          <span class="bar-label">{bar.href ? <a href={bar.href}>{bar.label}</a> : bar.label}</span>
          <span class="bar-value">{bar.value.toFixed(2)}</span>
          <span class="bar-track" aria-hidden="true">
            <span style={{ width: `${Math.min(Math.max(bar.value, 0), 1) * 100}%` }} />
          </span>
          {bar.detail && <span class="bar-detail">{bar.detail}</span>}
        </li>
      ))}
    </ul>
  )
}
