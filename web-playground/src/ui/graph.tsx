// Cookies and addresses as a drawing. Whatever is new comes in from the right, and moves to its place.

import { useSignal } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'

import { type Drawing, type GraphNode, labelOf } from '../graph/identities'
import type { Layout, Placed } from '../graph/layout'

/** How long what is new is marked as such, in milliseconds. */
const NEW_MS = 4_000

/** Colours that the style sheet has for them. */
const HUES = 6

const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches

export function Graph(props: { drawing: Drawing; label: string; height: number }) {
  const { drawing, label, height } = props
  const place = useRef<HTMLDivElement>(null)
  const layout = useRef<Layout | undefined>(undefined)
  const placed = useSignal<Map<string, Placed>>(new Map())
  const step = useSignal(0)
  const width = useSignal(0)
  const says = useSignal('')
  const known = useRef<Set<string> | undefined>(undefined)
  const fresh = useSignal<Set<string>>(new Set())

  useLayoutEffect(() => {
    const box = place.current
    if (!box) return
    const watch = new ResizeObserver(() => (width.value = box.clientWidth))
    width.value = box.clientWidth
    watch.observe(box)
    return () => watch.disconnect()
  }, [])

  const content = drawing.nodes.map(({ id, group }) => id + group).join() + drawing.links.map(({ id }) => id).join()
  useEffect(() => {
    if (width.value === 0) return
    let gone = false
    void import('../graph/layout').then(({ Layout }) => {
      if (gone) return
      const size = { width: width.peek(), height }
      layout.current ??= new Layout(size, () => step.value++)
      placed.value = layout.current.show(drawing.nodes, drawing.links, size, isStill())
      step.value++
    })
    return () => {
      gone = true
    }
  }, [content, width.value])

  // What was not there a moment ago is marked for a while.
  useEffect(() => {
    const before = known.current
    known.current = new Set(drawing.nodes.map(({ id }) => id))
    if (!before || before.size === 0) return
    fresh.value = new Set(drawing.nodes.filter(({ id }) => !before.has(id)).map(({ id }) => id))
    const timer = setTimeout(() => (fresh.value = new Set()), NEW_MS)
    return () => clearTimeout(timer)
  }, [content])
  useEffect(() => () => layout.current?.stop(), [])

  // Read, so that each step of the layout draws anew.
  void step.value
  const at = (id: string) => placed.value.get(id)
  // A profile keeps its colour, also when it is absorbed.
  const hues = useRef(new Map<string, number>())
  const hue = ({ profile }: GraphNode) => {
    if (!hues.current.has(profile)) hues.current.set(profile, hues.current.size)
    return `hue-${(hues.current.get(profile) ?? 0) % HUES}`
  }
  const tell = (text: string) => ({
    onMouseEnter: () => (says.value = text),
    onMouseLeave: () => (says.value = ''),
    onFocus: () => (says.value = text),
    onBlur: () => (says.value = ''),
  })
  return (
    <div class="graph" ref={place}>
      <svg role="group" aria-label={label} width="100%" height={height} viewBox={`0 0 ${width.value || 1} ${height}`}>
        {drawing.links.map((link) => {
          const [from, to] = [at(link.from), at(link.to)]
          if (!from || !to) return null
          return (
            <g key={link.id} {...tell(link.says)}>
              <line class={`graph-link ${link.ties ? '' : 'cut'}`} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
              <line class="graph-link-reach" x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
            </g>
          )
        })}
        {drawing.nodes.map((node) => {
          const spot = at(node.id)
          if (!spot) return null
          return (
            <g
              key={node.id}
              class={`graph-node ${node.kind} ${hue(node)} ${fresh.value.has(node.id) ? 'fresh' : ''}`}
              transform={`translate(${spot.x ?? 0} ${spot.y ?? 0})`}
              role="img"
              tabindex={0}
              aria-label={node.says}
              {...tell(node.says)}
            >
              {node.kind === 'email' ? <rect x="-14" y="-11" width="28" height="22" rx="5" /> : <circle r="13" />}
              <text class="graph-sign" y="4.5" aria-hidden="true">
                {node.kind === 'email' ? '@' : '●'}
              </text>
              <text class="graph-label" y="29" aria-hidden="true">
                {labelOf(node)}
              </text>
            </g>
          )
        })}
      </svg>
      <p class="graph-says small" aria-hidden="true">
        {says.value || 'Circles are cookies, boxes are email addresses; colours say which profile they came from.'}
      </p>
    </div>
  )
}
