// What the platform knows of the two visitors: two profiles, until they are one.

import type { Drawing } from '../../graph/identities'
import type { UserProfile } from '../../shapes'
import { Empty } from '../../ui/empty'
import { Graph } from '../../ui/graph'
import { PersonLink } from '../../ui/person-row'

const HEIGHT = 300

export function Known({ people, drawing }: { people: UserProfile[]; drawing: Drawing }) {
  return (
    <section class="card" aria-label="What the platform knows">
      <div class="card-head">
        <h2>What the platform knows</h2>
        <span class="small" role="status">
          {people.length === 0 ? 'nobody yet' : people.length === 1 ? 'one person' : 'two people'}
        </span>
      </div>
      {people.length === 0 ? (
        <Empty title="Nobody was seen yet">Press a product in either browser: that is a visit.</Empty>
      ) : (
        <div class="known">
          <Graph drawing={drawing} label="Cookies and addresses of the two visitors" height={HEIGHT} />
          <div class="known-people">
            {people.map((person) => (
              <One key={person.identities?.id} person={person} isOne={people.length === 1 && drawing.links.length > 1} />
            ))}
          </div>
        </div>
      )}
    </section>
  )
}

function One({ person, isOne }: { person: UserProfile; isOne: boolean }) {
  return (
    <article class={isOne ? 'one' : ''} aria-label={`Profile ${person.identities?.id}`}>
      <p>
        <PersonLink user={person} nameless="Somebody without a name" />{' '}
        <span class="small">
          <code>{person.identities?.id}</code>
        </span>
      </p>
      <ul class="chips" aria-label="Interests">
        {(person.interests ?? []).map((interest) => (
          <li key={interest}>{interest}</li>
        ))}
      </ul>
      <p class="small">
        {(person.cohorts ?? []).length > 0 ? (
          <>
            In{' '}
            {person.cohorts?.map((cohort) => (
              <span key={cohort} class="badge good">
                {cohort}
              </span>
            ))}
          </>
        ) : (
          'In no cohort yet.'
        )}
      </p>
    </article>
  )
}
