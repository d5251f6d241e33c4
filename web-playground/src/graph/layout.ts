// Where the nodes of a drawing go: springs between what belongs together, and room between the rest.

import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type Simulation,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from 'd3-force'

export interface Placed extends SimulationNodeDatum {
  id: string
  /** Nodes of one group lean towards each other. */
  group: number
}

export interface Spring {
  from: string
  to: string
}

export interface Size {
  width: number
  height: number
}

/** How far nodes stay from the edge, in pixels: room for their labels. */
const MARGIN = { x: 62, y: 34 }

/** Steps that bring any drawing to rest. */
const STEPS_TO_REST = 220

/** One drawing, whose nodes may come and go while it moves. */
export class Layout {
  private readonly simulation: Simulation<Placed, SimulationLinkDatum<Placed>>
  private placed = new Map<string, Placed>()

  constructor(
    private size: Size,
    onStep: () => void,
  ) {
    this.simulation = forceSimulation<Placed>()
      .force('apart', forceManyBody<Placed>().strength(-420).distanceMax(360))
      .force('room', forceCollide<Placed>(36))
      .on('tick', () => {
        this.keepInside()
        onStep()
      })
  }

  /** Those that are new come in from the right; the others move on from where they are. */
  show(nodes: { id: string; group: number }[], springs: Spring[], size: Size, still: boolean): Map<string, Placed> {
    this.size = size
    const { width, height } = size
    const isFirst = this.placed.size === 0
    this.placed = new Map(
      nodes.map(({ id, group }, index) => {
        const start = isFirst ? around(index, nodes.length, size) : { x: width - MARGIN.x, y: (height * (index % 5 + 1)) / 6 }
        return [id, Object.assign(this.placed.get(id) ?? { id, ...start, group }, { group })]
      }),
    )
    const links = springs
      .filter(({ from, to }) => this.placed.has(from) && this.placed.has(to))
      .map(({ from, to }) => ({ source: from, target: to }))
    const groups = new Set(nodes.map(({ group }) => group))
    const column = (group: number) => (width * ([...groups].indexOf(group) + 1)) / (groups.size + 1)
    this.simulation
      .nodes([...this.placed.values()])
      .force('links', forceLink<Placed, SimulationLinkDatum<Placed>>(links).id(({ id }) => id).distance(118))
      .force('x', forceX<Placed>(({ group }) => column(group)).strength(groups.size > 1 ? 0.12 : 0.05))
      .force('y', forceY<Placed>(height / 2).strength(0.12))
    if (still) {
      this.simulation.stop().alpha(1).tick(STEPS_TO_REST)
      this.keepInside()
    } else {
      this.simulation.alpha(isFirst ? 1 : 0.7).restart()
    }
    return this.placed
  }

  stop(): void {
    this.simulation.stop()
  }

  private keepInside(): void {
    for (const node of this.placed.values()) {
      node.x = Math.min(Math.max(node.x ?? 0, MARGIN.x), this.size.width - MARGIN.x)
      node.y = Math.min(Math.max(node.y ?? 0, MARGIN.y), this.size.height - MARGIN.y)
    }
  }
}

/** On a circle, so that the same people are drawn the same way each time. */
function around(index: number, of: number, { width, height }: Size): { x: number; y: number } {
  const angle = (2 * Math.PI * index) / Math.max(of, 1)
  return { x: width / 2 + (width / 4) * Math.cos(angle), y: height / 2 + (height / 4) * Math.sin(angle) }
}

/** A sheet to lay things out on, before they are brought to the size that there is. */
const SHEET: Size = { width: 1000, height: 480 }

/** Points that are alike come near each other, by springs that are the shorter, the more alike two are. */
export function placeByLikeness(
  ids: string[],
  pairs: { from: string; to: string; likeness: number }[],
): Map<string, { x: number; y: number }> {
  const nodes: Placed[] = ids.map((id, index) => ({ id, group: 0, ...around(index, ids.length, SHEET) }))
  const { width, height } = SHEET
  const links = pairs.map(({ from, to, likeness }) => ({ source: from, target: to, likeness }))
  const simulation = forceSimulation<Placed>(nodes)
    .force('apart', forceManyBody<Placed>().strength(-70))
    .force('room', forceCollide<Placed>(9))
    .force(
      'links',
      forceLink<Placed, SimulationLinkDatum<Placed> & { likeness: number }>(links)
        .id(({ id }) => id)
        .distance(({ likeness }) => 20 + 90 * (1 - likeness))
        .strength(({ likeness }) => likeness ** 2),
    )
    .force('x', forceX<Placed>(width / 2).strength((0.09 * height) / width))
    .force('y', forceY<Placed>(height / 2).strength(0.09))
    .stop()
    .tick(STEPS_TO_REST + 80)
  simulation.stop()
  return asShares(nodes)
}

/** The same places as shares of the room that they take; a thin row is not blown up to fill it. */
function asShares(nodes: Placed[]): Map<string, { x: number; y: number }> {
  const [xs, ys] = [rangeOf(nodes.map(({ x = 0 }) => x)), rangeOf(nodes.map(({ y = 0 }) => y))]
  const room = { x: Math.max(xs.span, ys.span, 1), y: Math.max(ys.span, xs.span / 2, 1) }
  return new Map(
    nodes.map(({ id, x = 0, y = 0 }) => [id, { x: 0.5 + (x - xs.middle) / room.x, y: 0.5 + (y - ys.middle) / room.y }]),
  )
}

function rangeOf(values: number[]): { middle: number; span: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return { middle: (low + high) / 2, span: high - low }
}
