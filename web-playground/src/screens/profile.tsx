// One person as the platform knows them: who, where, what they like, why in which cohort, and whence it is known.

import { linkTo } from '../route'
import type { Membership, Seen, UserProfile } from '../shapes'
import { Bars } from '../ui/bars'
import { Table } from '../ui/table'
import { plain, when } from '../ui/words'
import { Alike } from './alike'

export function Profile({ profile }: { profile: UserProfile }) {
  return (
    <div class="profile">
      <div class="stack">
        <Person profile={profile} />
        <Identifiers profile={profile} />
      </div>
      <div class="stack">
        <Memberships profile={profile} />
        <Interests interests={profile.interests ?? []} />
      </div>
      {profile.identities && <Alike key={profile.identities.id} id={profile.identities.id} />}
      <Origins profile={profile} />
    </div>
  )
}

function Person({ profile }: { profile: UserProfile }) {
  const name = profile.email ?? profile.cookie ?? 'Unknown'
  const { age, gender, education, income } = profile.demographics ?? {}
  const facts: [string, unknown][] = [
    ['Location', profile.location],
    ['Age', age],
    ['Gender', gender],
    ['Education', education],
    ['Income', income],
    ['Phone', profile.phone_number],
  ]
  const known = facts.filter(([, value]) => plain(value) !== '')
  return (
    <article class="card">
      <h2 class="person">{name}</h2>
      {profile.id && (
        <p class="small">
          Profile <code>{profile.id}</code>
        </p>
      )}
      {known.length > 0 ? (
        <dl class="facts">
          {known.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{plain(value)}</dd>
            </div>
          ))}
        </dl>
      ) : (
        <p class="small">Nothing beside identifiers is known yet.</p>
      )}
    </article>
  )
}

function Identifiers({ profile }: { profile: UserProfile }) {
  const { cookies = [], emails = [], primary_key: primary } = profile.identities ?? {}
  const rows: (Seen & { kind: string; value: string })[] = [
    ...emails.map(({ email, ...seen }) => ({ kind: 'Email', value: email, ...seen })),
    ...cookies.map(({ cookie, ...seen }) => ({ kind: 'Cookie', value: cookie, ...seen })),
  ]
  if (rows.length === 0) {
    for (const [kind, value] of [['Email', profile.email], ['Cookie', profile.cookie]] as const) {
      if (value) rows.push({ kind, value })
    }
  }
  return (
    <article class="card">
      <h2>Identifiers</h2>
      <ul class="identifiers">
        {rows.map((row) => (
          <li key={row.kind + row.value}>
            <span class="tag">{row.kind}</span>
            <span class="identifier">
              <code>{row.value}</code>
              {row.value === primary && <span class="badge">primary</span>}
              {row.last_seen && (
                <span class="small">
                  {row.first_seen && row.first_seen !== row.last_seen && `${when(row.first_seen)} to `}
                  {when(row.last_seen)}
                </span>
              )}
            </span>
          </li>
        ))}
      </ul>
    </article>
  )
}

function Memberships({ profile }: { profile: UserProfile }) {
  const scores: Membership[] = profile.scores ?? (profile.cohorts ?? []).map((cohort) => ({ cohort }))
  // Scores may name cohorts just missed; those stand apart from those the person is in.
  const isIn = new Set(profile.cohorts ?? scores.map((score) => score.cohort))
  const bars = scores
    .map(({ cohort, score, reason }) => ({
      label: cohort,
      value: score ?? 1,
      strong: isIn.has(cohort),
      detail: plain(reason) ? `because of ${plain(reason)}` : undefined,
    }))
    .sort((a, b) => Number(b.strong) - Number(a.strong) || b.value - a.value)
  return (
    <article class="card">
      <h2>Cohorts</h2>
      {bars.length > 0 ? (
        <Bars bars={bars} label="Cohorts of this person" />
      ) : (
        <p class="small">In no cohort: the known interests are not strong enough for one.</p>
      )}
    </article>
  )
}

function Interests({ interests }: { interests: string[] }) {
  return (
    <article class="card">
      <h2>Interests</h2>
      {interests.length > 0 ? (
        <ul class="chips" aria-label="Interests of this person">
          {interests.map((interest) => (
            <li key={interest}>
              <a href={linkTo('search', { interest })}>{interest}</a>
            </li>
          ))}
        </ul>
      ) : (
        <p class="small">None are known yet.</p>
      )}
    </article>
  )
}

function Origins({ profile }: { profile: UserProfile }) {
  const rows = profile.provenance ?? []
  return (
    <article class="card wide">
      <details>
        <summary>Where each value comes from</summary>
        {rows.length > 0 ? (
          <Table label="Provenance" head={['Field', 'Value', 'Known since', 'Source', 'Raw record']}>
            {rows.map((row, index) => (
              <tr key={index}>
                <td>
                  <code>{row.field}</code>
                </td>
                <td class="long">{plain(row.value)}</td>
                <td>{when(row.at)}</td>
                <td>{row.source ?? '–'}</td>
                <td>{row.raw ? <code>{row.raw}</code> : '–'}</td>
              </tr>
            ))}
          </Table>
        ) : (
          <p class="small">The answer carries no provenance.</p>
        )}
      </details>
      <details>
        <summary>The answer as JSON</summary>
        <pre>{JSON.stringify({ user_profile: profile }, null, 2)}</pre>
      </details>
    </article>
  )
}
