// The log-ins of one user that go on.

import { useEffect } from 'preact/hooks'

import { endSession, listSessions } from '../../calls/administration'
import { useRequest } from '../../request'
import type { LogInSession } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { when } from '../../ui/words'

/** Of somebody who logs in by a script there are many. */
const SHOWN_MAX = 8

export function Sessions({ user }: { user: string }) {
  const request = useRequest<{ sessions: LogInSession[] }>()
  const ending = useRequest<unknown>()
  const load = () => request.run(listSessions(user))
  useEffect(() => void load(), [user])
  const end = async (id: string) => {
    await ending.run(endSession(id))
    await load()
  }
  const found = request.answer.value?.sessions
  const left = (found?.length ?? 0) - SHOWN_MAX
  return (
    <section class="card" aria-label="Sessions" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Sessions of {user}</h2>
        <button type="button" class="quiet" onClick={() => void load()}>
          Refresh
        </button>
      </div>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {found?.length === 0 && <Empty title="Not logged in">There is no session of {user} that goes on.</Empty>}
      <ul class="merges" aria-label={`Sessions of ${user}`}>
        {found?.slice(0, SHOWN_MAX).map((one) => (
          <li key={one.id}>
            <span>
              from <code>{one.address || 'unknown'}</code>
              <span class="small">
                since {when(one.created_at)}, last renewed {when(one.renewed_at)}
              </span>
            </span>
            {one.current ? (
              <span class="badge good">this one</span>
            ) : (
              <button type="button" class="quiet" disabled={ending.busy.value} onClick={() => void end(one.id)}>
                End it
              </button>
            )}
          </li>
        ))}
      </ul>
      {left > 0 && <p class="small">And {left} more; the API has all of them.</p>}
      {ending.error.value && <ErrorNote error={ending.error.value} />}
      <Asked call={listSessions(user)} />
    </section>
  )
}
