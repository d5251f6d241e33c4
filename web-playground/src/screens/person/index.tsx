// One person as the platform knows them: who, where, what they like, why in which cohort, and whence it is
// known.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import type { Call } from '../../api'
import { type By, identityGraph, lookUp, profileById, type ProfileById, provenance, userOf } from '../../calls/people'
import { PROFILE_MERGED, type ProfileMerged, useSubscription } from '../../live'
import { isAnyMasked, isMasked } from '../../masked'
import { may } from '../../permissions'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import { session } from '../../session'
import type { FieldProvenance, IdentityGraph, UserProfile } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { LiveMark } from '../../ui/live-mark'
import { MaskedNote } from '../../ui/masked-note'
import { Alike } from './alike'
import { EraseButton } from './erase'
import { Facts } from './facts'
import { GraphCard } from './graph-card'
import { Interests, Memberships } from './memberships'
import { TimelineCard } from './timeline'

export type Key = By | 'id'

/** By a cookie or an address REST answers, by an id GraphQL. */
type Found = { user_profile: UserProfile } | { profile: ProfileById | null }

function userIn(found: Found | undefined): UserProfile | undefined {
  if (!found) return undefined
  if ('user_profile' in found) return found.user_profile
  return found.profile ? userOf(found.profile) : undefined
}

export function Person({ by, value }: { by: Key; value: string }) {
  const request = useRequest<Found>()
  const graph = useRequest<IdentityGraph>()
  const origins = useRequest<{ fields: FieldProvenance[] }>()
  const news = useSignal('')
  const call = by === 'id' ? profileById(value) : lookUp(by, value)

  const load = async () => {
    const id = userIn(await request.run(call as Call<Found>))?.identities?.id
    if (!id) return
    await Promise.all([graph.run(identityGraph(id)), origins.run(provenance(id))])
  }
  useEffect(() => void load(), [by, value])

  useSubscription<ProfileMerged>(PROFILE_MERGED, {}, ({ profileMerged: { absorbed, survivor } }) => {
    const id = userIn(request.answer.peek())?.identities?.id
    if (id !== absorbed && id !== survivor) return
    news.value = `Profile ${absorbed} was just found to be the same person as ${survivor}.`
    void load()
  }, `${by}${value}`)

  const error = request.error.value
  const profile = userIn(request.answer.value)
  // An outline is no address, which is how the server refuses it.
  const isOutline = by !== 'id' && isMasked(value) && (error?.status === 400 || error?.status === 404)
  const isNobody = isOutline || error?.status === 404 || (request.answer.value && !profile)
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
      <MaskedNote when={profile !== undefined && isAnyMasked([profile])} />
      {isNobody ? (
        <div class="card">
          {by === 'id' ? (
            <Empty title="Nobody has this id">They may have been erased.</Empty>
          ) : isOutline ? (
            <Empty title="Nobody is found by an outline">
              <code>{value}</code> is what your role sees of this {by}. Ask by all of it, or come from a list of people.
            </Empty>
          ) : (
            <Empty title="Nobody is known by this yet">
              Check the spelling of <code>{value}</code>, or send a record with this {by} on the Ingest screen.
            </Empty>
          )}
        </div>
      ) : error ? (
        <div class="card">
          <ErrorNote error={error} />
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
