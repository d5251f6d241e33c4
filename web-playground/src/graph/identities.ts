// A person's cookies and addresses as nodes and links to draw, each with the profile that it came from.

import type { IdentityGraph, IdentityNode } from '../shapes'
import { when } from '../ui/words'

/** More than these make a drawing that nobody can read. */
export const NODES_MAX = 60

export interface GraphNode {
  id: string
  kind: 'cookie' | 'email'
  value: string
  /** The profile that it belonged to before merges. */
  profile: string
  group: number
  primary: boolean
  says: string
}

export interface GraphLink {
  id: string
  from: string
  to: string
  cookie: string
  email: string
  ties: boolean
  says: string
}

export interface Drawing {
  nodes: GraphNode[]
  links: GraphLink[]
  /** Identifiers that are not drawn. */
  left: number
}

const idOf = (kind: string, value: string) => `${kind}:${value}`

export function drawingOf(graph: IdentityGraph, group = 0): Drawing {
  const from = new Map<string, string>()
  // The earliest merge says where an identifier was at first; a merge that was undone is none.
  for (const merge of [...graph.merges].sort((a, b) => (a.at < b.at ? 1 : -1))) {
    if (merge.undone_at || merge.survivor === undefined) continue
    for (const cookie of merge.cookies) from.set(idOf('cookie', cookie), merge.absorbed)
    for (const email of merge.emails) from.set(idOf('email', email), merge.absorbed)
  }
  const shown = together(
    mostTelling(graph).map((node) => nodeOf(node, from.get(idOf(node.kind, node.value)) ?? graph.id, group)),
  )
  const isShown = new Set(shown.map(({ id }) => id))
  const links = graph.edges
    .map((edge) => ({
      id: `${edge.cookie}→${edge.email}`,
      from: idOf('cookie', edge.cookie),
      to: idOf('email', edge.email),
      cookie: edge.cookie,
      email: edge.email,
      ties: edge.ties,
      says: `${edge.ties ? 'Seen together' : 'Kept apart; last seen together'} ${when(edge.at)}${edge.source ? `, in a record of ${edge.source}` : ''}`,
    }))
    .filter((link) => isShown.has(link.from) && isShown.has(link.to))
  const left = Math.max(graph.identifiers.length - NODES_MAX, 0)
  return { nodes: shown, links: [...new Map(links.map((link) => [link.id, link])).values()], left }
}

/** Of those that are masked, several may look the same: nobody can say which of them a link is of. */
function together(nodes: GraphNode[]): GraphNode[] {
  const alike = new Map<string, GraphNode[]>()
  for (const node of nodes) alike.set(node.id, [...(alike.get(node.id) ?? []), node])
  return [...alike.values()].flatMap(([first, ...more]) =>
    first && more.length > 0 ? [{ ...first, says: `${first.says}, and ${more.length} more that look the same` }] : (first ?? []),
  )
}

/** Addresses and what is tied to something come first. */
function mostTelling(graph: IdentityGraph): IdentityNode[] {
  if (graph.identifiers.length <= NODES_MAX) return graph.identifiers
  const tied = new Set(graph.edges.map(({ cookie }) => cookie))
  const weight = (node: IdentityNode) => Number(node.kind === 'email') * 4 + Number(node.primary) * 2 + Number(tied.has(node.value))
  return [...graph.identifiers].sort((a, b) => weight(b) - weight(a)).slice(0, NODES_MAX)
}

function nodeOf(node: IdentityNode, profile: string, group: number): GraphNode {
  const kind = node.kind === 'email' ? 'Email' : 'Cookie'
  return {
    id: idOf(node.kind, node.value),
    kind: node.kind,
    value: node.value,
    profile,
    group,
    primary: node.primary,
    says: `${kind} ${node.value}, first seen ${when(node.first_seen)}, last ${when(node.last_seen)}`,
  }
}

/** A label that leaves room for others: the middle of a long cookie says nothing to people. */
export function labelOf({ kind, value }: Pick<GraphNode, 'kind' | 'value'>): string {
  if (kind === 'email') return value.length > 26 ? `${value.slice(0, 24)}…` : value
  return value.length > 12 ? `${value.slice(0, 5)}…${value.slice(-4)}` : value
}
