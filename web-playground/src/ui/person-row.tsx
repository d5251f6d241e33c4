// A person as a row of a table, which leads to all that is known of them.

import { keyOf } from '../masked'
import { linkTo } from '../route'
import type { UserProfile } from '../shapes'
import { plain } from './words'

/** Interests shown of a person; the rest are counted. */
const SHOWN_INTERESTS_MAX = 3

export const PERSON_HEAD = ['Person', 'Location', 'Age', 'Interests']

/** What a person is called, leading to their profile where anything does. */
export function PersonLink({ user, id, nameless }: { user: UserProfile; id?: string | undefined; nameless?: string }) {
  const key = keyOf(user, id)
  const name = user.email ?? nameless ?? user.cookie
  return key ? <a href={linkTo('people', key)}>{name}</a> : <>{name}</>
}

export function PersonRow({ user, id }: { user: UserProfile; id?: string | undefined }) {
  const interests = user.interests ?? []
  const more = interests.length - SHOWN_INTERESTS_MAX
  return (
    <tr>
      <td>
        <PersonLink user={user} id={id} />
      </td>
      <td class="long place">{user.location || '–'}</td>
      <td class="number">{plain(user.demographics?.age) || '–'}</td>
      <td class="long">
        {interests.slice(0, SHOWN_INTERESTS_MAX).join(', ') || '–'}
        {more > 0 && ` and ${more} more`}
      </td>
    </tr>
  )
}
