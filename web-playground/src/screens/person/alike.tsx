// People like one person, and what they share.

import { useEffect } from 'preact/hooks'

import { similarUsers } from '../../calls/people'
import { useRequest } from '../../request'
import type { SimilarUsers } from '../../shapes'
import { ErrorNote } from '../../ui/error-note'
import { PersonLink } from '../../ui/person-row'
import { Table } from '../../ui/table'

/** People who are shown. */
const SHOWN = 5

export function Alike({ id }: { id: string }) {
  const request = useRequest<SimilarUsers>()
  useEffect(() => void request.run(similarUsers(id, SHOWN)), [id])
  const error = request.error.value
  const found = request.answer.value
  return (
    <section class="card" aria-label="People like this one" aria-busy={request.busy.value}>
      <h2>People like this one</h2>
      {error ? (
        <ErrorNote error={error} />
      ) : found && found.users.length > 0 ? (
        <Table label="People who share interests" head={['Person', 'Alike', 'Both like']}>
          {found.users.map((hit) => (
            <tr key={hit.id}>
              <td>
                <PersonLink user={hit.user_profile} id={hit.id} />
              </td>
              <td class="number">{Math.round(hit.score * 100)} %</td>
              <td class="long">{hit.shared_interests.join(', ')}</td>
            </tr>
          ))}
        </Table>
      ) : (
        <p class="small">{found ? 'Nobody shares an interest with this person yet.' : 'This takes a moment.'}</p>
      )}
    </section>
  )
}
