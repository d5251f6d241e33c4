// Who somebody is. Each value tells where it comes from.

import type { ComponentChildren } from 'preact'

import type { FieldProvenance, UserProfile } from '../../shapes'
import { Origin } from '../../ui/origin'
import { plain } from '../../ui/words'

export function Facts({ profile, origins }: { profile: UserProfile; origins: FieldProvenance[] }) {
  const by = new Map(origins.map((one) => [one.field, one]))
  const { age, gender, education, income } = profile.demographics ?? {}
  const facts: [label: string, field: string, value: unknown][] = [
    ['First name', 'first_name', profile.first_name],
    ['Last name', 'last_name', profile.last_name],
    ['Age', 'demographics.age', age],
    ['Gender', 'demographics.gender', gender],
    ['Education', 'demographics.education', education],
    ['Income', 'demographics.income', income],
    ['Phone', 'phone_number', profile.phone_number],
  ]
  const known = facts.filter(([, , value]) => plain(value) !== '')
  const place = ['location.city', 'location.state', 'location.country'].flatMap((field) => by.get(field) ?? [])
  const isBare = known.length === 0 && !profile.location
  return (
    <article class="card">
      <h2 class="person">{profile.email ?? profile.cookie ?? 'Unknown'}</h2>
      {profile.identities && (
        <p class="small">
          Profile <code>{profile.identities.id}</code>, known by {countOf(profile)}
        </p>
      )}
      {isBare ? (
        <p class="small">Nothing beside identifiers is known yet.</p>
      ) : (
        <dl class="facts">
          {profile.location && (
            <Fact label="Location">
              {place.length > 0
                ? place.map((origin, index) => (
                    <span key={origin.field}>
                      {index > 0 && ', '}
                      <Origin value={plain(origin.survivor.value)} of={origin} />
                    </span>
                  ))
                : profile.location}
            </Fact>
          )}
          {known.map(([label, field, value]) => (
            <Fact key={field} label={label}>
              <Origin value={plain(value)} of={by.get(field)} />
            </Fact>
          ))}
        </dl>
      )}
    </article>
  )
}

function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function countOf({ identities }: UserProfile): string {
  const of = (n: number, word: string, many: string) => `${n} ${n === 1 ? word : many}`
  return [
    of(identities?.cookies?.length ?? 0, 'cookie', 'cookies'),
    of(identities?.emails?.length ?? 0, 'address', 'addresses'),
  ].join(' and ')
}
