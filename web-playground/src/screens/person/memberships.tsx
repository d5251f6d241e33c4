// In which cohorts somebody is and why, and what they like.

import { linkTo } from '../../route'
import type { Membership, UserProfile } from '../../shapes'
import { Bars } from '../../ui/bars'
import { plain } from '../../ui/words'

export function Memberships({ profile }: { profile: UserProfile }) {
  const scores: Membership[] = profile.scores ?? (profile.cohorts ?? []).map((cohort) => ({ cohort }))
  // Scores may name cohorts just missed; those stand apart from those the person is in.
  const isIn = new Set(profile.cohorts ?? scores.map((score) => score.cohort))
  const bars = scores
    .map(({ cohort, slug, score, reason }) => ({
      label: cohort,
      href: slug ? linkTo('cohorts', { cohort: slug }) : undefined,
      value: score ?? 1,
      strong: isIn.has(cohort),
      detail: plain(reason) ? `because of ${plain(reason)}` : undefined,
    }))
    .sort((a, b) => Number(b.strong) - Number(a.strong) || b.value - a.value)
  return (
    <article class="card">
      <h2>Cohorts, and why</h2>
      {bars.length > 0 ? (
        <Bars bars={bars} label="Cohorts of this person" />
      ) : (
        <p class="small">In no cohort: the known interests are not strong enough for one.</p>
      )}
    </article>
  )
}

export function Interests({ interests }: { interests: string[] }) {
  return (
    <article class="card">
      <h2>Interests</h2>
      {interests.length > 0 ? (
        <ul class="chips" aria-label="Interests of this person">
          {interests.map((interest) => (
            <li key={interest}>
              <a href={linkTo('people', { interest })}>{interest}</a>
            </li>
          ))}
        </ul>
      ) : (
        <p class="small">None are known yet.</p>
      )}
    </article>
  )
}
