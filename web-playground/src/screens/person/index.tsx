// One person as the platform knows them: who, where, what they like, why in which cohort, and whence it is
// known.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { type By, identityGraph, keysOf, lookUp, provenance } from '../../calls/people'
import { PROFILE_MERGED, type ProfileMerged, useSubscription } from '../../live'
import { may } from '../../permissions'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import { session } from '../../session'
import type { FieldProvenance, IdentityGraph, UserProfile } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { LiveMark } from '../../ui/live-mark'
import { Alike } from './alike'
import { EraseButton } from './erase'
import { Facts } from './facts'
import { GraphCard } from './graph-card'
import { Interests, Memberships } from './memberships'
import { TimelineCard } from './timeline'

export type Key = By | 'id'

export function Person({ by, value }: { by: Key; value: string }) {
  return by === 'id' ? <PersonById id={value} /> : <PersonByKey by={by} value={value} />
}

/** Ids come from the feed of changes; a person is looked up by what they are known by. */
function PersonById({ id }: { id: string }) {
  const request = useRequest<{ profile: { email?: string; cookie?: string } | null }>()
  useEffect(() => {
    void request.run(keysOf(id)).then((found) => {
      const { email, cookie } = found?.profile ?? {}
      if (email || cookie) location.replace(linkTo('people', email ? { email } : { cookie: cookie ?? '' }))
    })
  }, [id])
  return (
    <div class="card answer">
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : (
        <Empty title={request.answer.value?.profile === null ? 'Nobody has this id' : 'Looking…'}>
          {request.answer.value?.profile === null ? 'They may have been erased.' : 'This takes a moment.'}
        </Empty>
      )}
    </div>
  )
}

function PersonByKey({ by, value }: { by: By; value: string }) {
  const request = useRequest<{ user_profile: UserProfile }>()
  const graph = useRequest<IdentityGraph>()
  const origins = useRequest<{ fields: FieldProvenance[] }>()
  const news = useSignal('')
  const call = lookUp(by, value)

  const load = async () => {
    const id = (await request.run(call))?.user_profile.identities?.id
    if (!id) return
    await Promise.all([graph.run(identityGraph(id)), origins.run(provenance(id))])
  }
  useEffect(() => void load(), [by, value])

  useSubscription<ProfileMerged>(PROFILE_MERGED, {}, ({ profileMerged: { absorbed, survivor } }) => {
    const id = request.answer.peek()?.user_profile.identities?.id
    if (id !== absorbed && id !== survivor) return
    news.value = `Profile ${absorbed} was just found to be the same person as ${survivor}.`
    void load()
  }, `${by}${value}`)

  const error = request.error.value
  const profile = request.answer.value?.user_profile
  const role = session.value?.role ?? 'viewer'
  return (
    <section class="answer" aria-label="Profile" aria-busy={request.busy.value}>
      <div class="person-bar">
        <a href={linkTo('people')}>← All people</a>
        <span class="actions">
          <LiveMark />
          <button type="button" onClick={() => void load()} disabled={request.busy.value}>
            Refresh
          </button>
          {profile && may(role, 'erase') && <EraseButton profile={profile} />}
        </span>
      </div>
      <p class="news" role="status">
        {news.value}
      </p>
      {error ? (
        <div class="card">
          {error.status === 404 ? (
            <Empty title="Nobody is known by this yet">
              Check the spelling of <code>{value}</code>, or send a record with this {by} on the Ingest screen.
            </Empty>
          ) : (
            <ErrorNote error={error} />
          )}
        </div>
      ) : profile ? (
        <div class="profile">
          <div class="stack">
            <Facts profile={profile} origins={origins.answer.value?.fields ?? []} />
            <Memberships profile={profile} />
            <Interests interests={profile.interests ?? []} />
            {profile.identities && <Alike key={profile.identities.id} id={profile.identities.id} />}
          </div>
          <div class="stack">
            <GraphCard graph={graph} onJudged={load} />
            {profile.identities && <TimelineCard key={profile.identities.id} id={profile.identities.id} onJudged={load} />}
          </div>
          <article class="card wide">
            <details>
              <summary>The answer as JSON</summary>
              <pre>{JSON.stringify({ user_profile: profile }, null, 2)}</pre>
            </details>
            <Asked call={call} />
          </article>
        </div>
      ) : (
        <div class="card">
          <Empty title="Looking…">This takes a moment.</Empty>
        </div>
      )}
    </section>
  )
}
