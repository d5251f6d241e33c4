// The members of a cohort, a page at a time.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { cohortUsers, memberIds, type MemberIds } from '../../calls/cohorts'
import { isAnyMasked } from '../../masked'
import { useRequest } from '../../request'
import type { Cohort, CohortPage, UserProfile } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { MaskedNote } from '../../ui/masked-note'
import { Pager } from '../../ui/pager'
import { PERSON_HEAD, PersonRow } from '../../ui/person-row'
import { Table } from '../../ui/table'
import { count, plural } from '../../ui/words'

/** Members on a page. */
const PAGE = 20

export function Members({ cohort }: { cohort: Cohort }) {
  const request = useRequest<CohortPage>()
  // The cursors of the pages walked so far; the first page has none.
  const cursors = useSignal<(string | undefined)[]>([undefined])
  const call = cohortUsers(cohort.slug, PAGE, cursors.value.at(-1))

  const ids = useRequest<MemberIds>()
  const go = async (next: (string | undefined)[]) => {
    const found = await request.run(cohortUsers(cohort.slug, PAGE, next.at(-1)))
    if (!found) return
    cursors.value = next
    ids.answer.value = undefined
    if (isAnyMasked(membersOf(found))) await ids.run(memberIds(cohort.slug, PAGE, next.at(-1)))
  }
  useEffect(() => void go([undefined]), [])

  const page = request.answer.value
  const members = page ? membersOf(page) : []
  const known = ids.answer.value?.cohort?.users.edges.map(({ node }) => node.id) ?? []
  const first = (cursors.value.length - 1) * PAGE
  const next = page?.next_cursor
  return (
    <section class="card" aria-label="Members" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Members</h2>
        {page && <span class="small">{plural(page.total, 'member')}</span>}
      </div>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : page && members.length > 0 ? (
        <>
          <MaskedNote when={isAnyMasked(members)} />
          <Table label={`Members of ${cohort.name}`} head={PERSON_HEAD}>
            {members.map((user, index) => (
              <PersonRow key={index} user={user} id={known[index]} />
            ))}
          </Table>
          <Pager
            previous={cursors.value.length > 1 && !request.busy.value ? () => void go(cursors.value.slice(0, -1)) : undefined}
            next={next && !request.busy.value ? () => void go([...cursors.value, next]) : undefined}
          >
            <span class="small" role="status">
              {count(first + 1)}–{count(first + page.users.length)} of {count(page.total)}
            </span>
          </Pager>
        </>
      ) : page ? (
        <Empty title="Nobody is in it yet">Send records of people with interests like these.</Empty>
      ) : (
        <Empty title="Loading…">This takes a moment.</Empty>
      )}
      <Asked call={call} />
    </section>
  )
}

const membersOf = ({ users }: CohortPage): UserProfile[] =>
  users.map((user) => ('user_profile' in user ? user.user_profile : user))
