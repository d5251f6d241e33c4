import { describe, expect, it } from 'vitest'

import { drawingOf, labelOf, NODES_MAX } from '../../src/graph/identities'
import { Layout, placeByLikeness } from '../../src/graph/layout'
import type { IdentityGraph, Merge } from '../../src/shapes'

const AT = '2026-01-01T00:00:00Z'
const cookie = (value: string) => ({ kind: 'cookie' as const, value, first_seen: AT, last_seen: AT, primary: false })
const email = (value: string) => ({ kind: 'email' as const, value, first_seen: AT, last_seen: AT, primary: true })
const edge = (one: string, other: string, ties = true) => ({ cookie: one, email: other, raw: 'r', at: AT, policy: 'union', ties })
const merge = (absorbed: string, cookies: string[], at = AT, undone_at: string | null = null): Merge => ({
  id: absorbed,
  survivor: 'p1',
  absorbed,
  cookies,
  emails: [],
  raw: 'r',
  policy: 'union',
  at,
  undone_at,
})

const GRAPH: IdentityGraph = {
  id: 'p1',
  identifiers: [cookie('a'), cookie('b'), email('x@example.com')],
  edges: [edge('a', 'x@example.com'), edge('b', 'x@example.com', false)],
  cuts: [],
  merges: [merge('p2', ['b'])],
  decisions: [],
}

describe('the drawing of a person', () => {
  it('says from which profile each identifier came', () => {
    const { nodes, links } = drawingOf(GRAPH)
    expect(nodes.map(({ id, profile }) => [id, profile])).toEqual([
      ['cookie:a', 'p1'],
      ['cookie:b', 'p2'],
      ['email:x@example.com', 'p1'],
    ])
    expect(links.map(({ from, to, ties }) => [from, to, ties])).toEqual([
      ['cookie:a', 'email:x@example.com', true],
      ['cookie:b', 'email:x@example.com', false],
    ])
  })

  it('draws once what masked looks the same', () => {
    const masked = { ...GRAPH, identifiers: [cookie('si***'), cookie('si***'), email('x***@e***.com')], merges: [] }
    const edges = [edge('si***', 'x***@e***.com'), edge('si***', 'x***@e***.com')]
    const { nodes, links, left } = drawingOf({ ...masked, edges })
    expect(nodes.map(({ id }) => id)).toEqual(['cookie:si***', 'email:x***@e***.com'])
    expect(nodes[0]?.says).toContain('1 more that look the same')
    expect([links.length, left]).toEqual([1, 0])
  })

  it('counts no merge that was undone, and of two the earlier one', () => {
    const undone = { ...GRAPH, merges: [merge('p2', ['b'], AT, AT)] }
    expect(drawingOf(undone).nodes.map(({ profile }) => profile)).toEqual(['p1', 'p1', 'p1'])
    const twice = { ...GRAPH, merges: [merge('p2', ['b'], '2026-02-01T00:00:00Z'), merge('p3', ['b'], AT)] }
    expect(drawingOf(twice).nodes[1]?.profile).toBe('p3')
  })

  it('leaves out what nobody could tell apart, and says how much', () => {
    const many = Array.from({ length: 200 }, (_, n) => cookie(`c${n}`))
    const { nodes, left } = drawingOf({ ...GRAPH, identifiers: [...many, ...GRAPH.identifiers] })
    expect(nodes).toHaveLength(NODES_MAX)
    expect(left).toBe(203 - NODES_MAX)
    expect(nodes.map(({ id }) => id)).toContain('email:x@example.com')
  })

  it('shortens what is long', () => {
    expect(labelOf({ kind: 'cookie', value: 'dk5h2p9s7f3j8m1n4v0x' })).toBe('dk5h2…4v0x')
    expect(labelOf({ kind: 'email', value: 'ann@example.com' })).toBe('ann@example.com')
  })
})

describe('the layout', () => {
  it('keeps every node inside, and those that stay where they were', () => {
    const size = { width: 400, height: 300 }
    const layout = new Layout(size, () => {})
    const { nodes, links } = drawingOf(GRAPH)
    const first = layout.show(nodes.slice(0, 1), [], size, true).get('cookie:a')
    const placed = layout.show(nodes, links, size, true)
    expect(placed.get('cookie:a')).toBe(first)
    for (const { x = -1, y = -1 } of placed.values()) {
      expect(x).toBeGreaterThan(0)
      expect(x).toBeLessThan(400)
      expect(y).toBeGreaterThan(0)
      expect(y).toBeLessThan(300)
    }
  })

  it('puts what is alike nearer than what is not', () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    const pairs = [['a', 'b'], ['c', 'd'], ['e', 'f']].map(([from = '', to = '']) => ({ from, to, likeness: 0.95 }))
    const places = placeByLikeness(ids, pairs)
    const far = (one: string, other: string) => {
      const [p, q] = [places.get(one), places.get(other)]
      return Math.hypot((p?.x ?? 0) - (q?.x ?? 0), (p?.y ?? 0) - (q?.y ?? 0))
    }
    const mean = (all: number[]) => all.reduce((sum, one) => sum + one, 0) / all.length
    const alike = pairs.map(({ from, to }) => far(from, to))
    const unlike = ids.flatMap((one) => ids.filter((other) => other > one).map((other) => far(one, other)))
    expect(mean(alike)).toBeLessThan(0.6 * mean(unlike))
  })
})
