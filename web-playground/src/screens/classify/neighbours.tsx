// What people like that means nearly the same.

import { useEffect } from 'preact/hooks'

import { similarInterests } from '../../calls/people'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import type { InterestHits } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'
import { count } from '../../ui/words'

const SHOWN = 8

export function Neighbours({ interest }: { interest: string }) {
  const request = useRequest<InterestHits>()
  useEffect(() => void request.run(similarInterests(interest, SHOWN)), [interest])
  if (request.error.value) return <ErrorNote error={request.error.value} />
  const hits = request.answer.value?.interests ?? []
  if (hits.length === 0) return null
  return (
    <div>
      <h3>Neighbours: what people like that means nearly the same</h3>
      <ul class="chips" aria-label={`Neighbours of ${interest}`}>
        {hits.map((hit) => (
          <li key={hit.interest}>
            <a href={linkTo('people', { interest: hit.interest })}>{hit.interest}</a>{' '}
            <span class="small">{count(hit.users)}</span>
          </li>
        ))}
      </ul>
      <Asked call={similarInterests(interest, SHOWN)} what="The neighbours" />
    </div>
  )
}
