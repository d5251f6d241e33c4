// A person as a row of a table, which leads to all that is known of them.

import { linkTo } from '../route'
import type { UserProfile } from '../shapes'
import { plain } from './words'

/** Interests shown of a person; the rest are counted. */
const SHOWN_INTERESTS_MAX = 3

export const PERSON_HEAD = ['Person', 'Location', 'Age', 'Interests']

/** What leads to a person's profile. */
export function linkToPerson(user: UserProfile): string {
  return linkTo('people', user.email ? { email: user.email } : { cookie: user.cookie ?? '' })
}

export function PersonRow({ user }: { user: UserProfile }) {
  const interests = user.interests ?? []
  const more = interests.length - SHOWN_INTERESTS_MAX
  return (
    <tr>
      <td>
        <a href={linkToPerson(user)}>{user.email ?? user.cookie}</a>
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
