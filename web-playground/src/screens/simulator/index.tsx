// Two browsers in one shop: browse without a name in both, log in with the same address, and watch two
// visitors become one person.

import { useSignal } from '@preact/signals'

import { ApiError, type Call } from '../../api'
import { identityGraph, lookUp } from '../../calls/people'
import { type Drawing, drawingOf } from '../../graph/identities'
import { PROFILE_MERGED, type ProfileMerged, useSubscription } from '../../live'
import { asApiError } from '../../request'
import { send } from '../../session'
import type { UserProfile } from '../../shapes'
import { LiveMark } from '../../ui/live-mark'
import { logIn, newVisitor, see, type Visitor } from '../../visitor'
import { Browser } from './browser'
import { Known } from './known'
import { NotCollected } from './not-collected'
import { PRODUCTS } from './products'

const NAMES = ['Laptop', 'Phone'] as const

/** What the story looks at, in each of the browsers. */
const TOUR = [
  ['football', 'flight'],
  ['sneakers', 'headset'],
]

/** A breath between two steps of the story, in milliseconds. */
const BREATH_MS = 900

interface Side {
  visitor: Visitor
  seen: string[]
}

const freshSide = (): Side => ({ visitor: newVisitor(), seen: [] })

/** An address that nobody had before, so that the story begins at the beginning each time. */
const freshEmail = () => `robin.${Math.random().toString(36).slice(2, 7)}@example.com`

export function Simulator() {
  const sides = useSignal<[Side, Side]>([freshSide(), freshSide()])
  const email = useSignal(freshEmail())
  const people = useSignal<UserProfile[]>([])
  const drawing = useSignal<Drawing>({ nodes: [], links: [], left: 0 })
  const news = useSignal('')
  const error = useSignal<ApiError | undefined>(undefined)
  const playing = useSignal(false)

  const change = (index: number, side: Partial<Side>) => {
    sides.value = sides.peek().map((old, at) => (at === index ? { ...old, ...side } : old)) as [Side, Side]
  }
  const look = async () => {
    try {
      const found = await Promise.all(sides.peek().map(whoIs))
      const unlike = found.filter((person, at) => person && found.findIndex((other) => idOf(other) === idOf(person)) === at)
      people.value = unlike as UserProfile[]
      const graphs = await Promise.all(people.peek().map((person) => send(identityGraph(idOf(person) ?? ''))))
      drawing.value = together(graphs.map((graph) => drawingOf(graph)))
      error.value = undefined
    } catch (cause) {
      error.value = asApiError(cause)
    }
  }
  useSubscription<ProfileMerged>(PROFILE_MERGED, {}, ({ profileMerged: { absorbed, survivor } }) => {
    const ids = people.peek().map(idOf)
    if (!ids.includes(absorbed) && !ids.includes(survivor)) return
    news.value = `${absorbed} and ${survivor} are one person: the platform just merged them.`
    void look()
  })
  const begin = () => {
    sides.value = [freshSide(), freshSide()]
    email.value = freshEmail()
    people.value = []
    drawing.value = { nodes: [], links: [], left: 0 }
    news.value = ''
  }

  const step = async (call: Call<unknown>) => {
    await send(call)
    await look()
    await new Promise((done) => setTimeout(done, BREATH_MS))
  }
  const play = async () => {
    begin()
    playing.value = true
    try {
      for (const [index, tour] of TOUR.entries()) {
        for (const product of PRODUCTS.filter(({ id }) => tour.includes(id))) {
          const side = sides.peek()[index] ?? freshSide()
          change(index, { seen: [...side.seen, product.id] })
          await step(see(side.visitor, { page: `/${product.id}`, interests: product.interests }))
        }
      }
      for (const index of [0, 1]) {
        const { visitor } = sides.peek()[index] ?? freshSide()
        change(index, { visitor: { ...visitor, email: email.peek() } })
        await step(logIn(visitor, email.peek()))
      }
    } catch (cause) {
      error.value = asApiError(cause)
    }
    playing.value = false
  }
  const [left, right] = sides.value
  const isOne = people.value.length === 1 && Boolean(left.visitor.email && right.visitor.email)
  const steps: [text: string, done: boolean][] = [
    ['Look at products in both browsers', left.seen.length > 0 && right.seen.length > 0],
    ['Log in with one address in both', Boolean(left.visitor.email && right.visitor.email)],
    ['Two visitors are one person', isOne],
  ]
  return (
    <div class="stack">
      <section class="card" aria-label="The story">
        <div class="card-head">
          <ol class="steps">
            {steps.map(([text, done]) => (
              <li key={text} class={done ? 'done' : ''}>
                {text}
              </li>
            ))}
          </ol>
          <span class="actions">
            <LiveMark />
            <button type="button" class="primary" disabled={playing.value} onClick={() => void play()}>
              {playing.value ? 'Playing…' : 'Play it for me'}
            </button>
            <button type="button" class="quiet" disabled={playing.value} onClick={begin}>
              Start over
            </button>
          </span>
        </div>
        {news.value && (
          <p class="news" role="status">
            {news.value}
          </p>
        )}
        <NotCollected error={error.value} />
      </section>
      <div class="browsers">
        {sides.value.map(({ visitor, seen }, index) => (
          <Browser
            key={NAMES[index]}
            name={NAMES[index] ?? ''}
            visitor={visitor}
            seen={seen}
            email={email.value}
            onChange={(next, looked) => {
              if (next.email) email.value = next.email
              change(index, { visitor: next, seen: looked })
              void look()
            }}
            onNewVisitor={() => change(index, freshSide())}
          />
        ))}
      </div>
      <Known people={people.value} drawing={drawing.value} />
    </div>
  )
}

const idOf = (person: UserProfile | undefined) => person?.identities?.id

/** A browser that was not seen yet is nobody, and need not be asked for. */
async function whoIs({ visitor, seen }: Side): Promise<UserProfile | undefined> {
  if (seen.length === 0 && !visitor.email) return undefined
  try {
    return (await send(lookUp('cookie', visitor.cookie))).user_profile
  } catch (cause) {
    if (cause instanceof ApiError && cause.status === 404) return undefined
    throw cause
  }
}

function together(drawings: Drawing[]): Drawing {
  return {
    nodes: drawings.flatMap(({ nodes }, group) => nodes.map((node) => ({ ...node, group }))),
    links: drawings.flatMap(({ links }) => links),
    left: drawings.reduce((sum, { left }) => sum + left, 0),
  }
}
