// Forgetting somebody: for admins, and after a question. What is gone is counted.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { type By, erase, erasure } from '../../calls/people'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import type { Erasure, UserProfile } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Confirm, Told } from '../../ui/dialog'
import { ErrorNote } from '../../ui/error-note'
import { count } from '../../ui/words'

/** A pause before it is asked again how far the search is, in milliseconds. */
const LOOK_AGAIN_MS = 2_000

export function EraseButton({ profile }: { profile: UserProfile }) {
  const asking = useSignal(false)
  const typed = useSignal('')
  const reason = useSignal('')
  const request = useRequest<Erasure>()
  const [by, value]: [By, string] = profile.email ? ['email', profile.email] : ['cookie', profile.cookie ?? '']
  const call = erase(by, value, reason.value.trim())
  const erased = request.answer.value
  if (erased) return <Erased erasure={erased} />
  return (
    <>
      <button type="button" class="danger-quiet" onClick={() => (asking.value = true)}>
        Erase…
      </button>
      {asking.value && (
        <Confirm
          title="Erase this person?"
          action={request.busy.value ? 'Erasing…' : 'Erase for good'}
          busy={request.busy.value || typed.value.trim() !== value}
          onCancel={() => (asking.value = false)}
          onConfirm={() => void request.run(call)}
        >
          <p>
            All that is known of <strong>{value}</strong> is deleted: every record as it arrived, the profile, its
            cookies and addresses, and its memberships. Nothing more is taken in of them. It cannot be taken back.
          </p>
          <label class="field">
            Type the {by === 'email' ? 'address' : 'cookie'} to confirm
            <input
              value={typed.value}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              onInput={(event) => (typed.value = event.currentTarget.value)}
            />
          </label>
          <label class="field">
            Why, without naming them (optional, kept for good)
            <input
              value={reason.value}
              autocomplete="off"
              onInput={(event) => (reason.value = event.currentTarget.value)}
            />
          </label>
          {request.error.value && <ErrorNote error={request.error.value} />}
          <Asked call={call} />
        </Confirm>
      )}
    </>
  )
}

/** What is gone, and what is still looked for. */
function Erased({ erasure: first }: { erasure: Erasure }) {
  const request = useRequest<Erasure>()
  const now = request.answer.value ?? first
  const isDone = !now.looking_for
  useEffect(() => {
    if (isDone) return
    const timer = setInterval(() => void request.run(erasure(first.id)), LOOK_AGAIN_MS)
    return () => clearInterval(timer)
  }, [isDone])
  const gone = Object.entries(now.erased).filter(([, number]) => number > 0)
  return (
    <Told title="They are erased" onClose={() => (location.hash = linkTo('people'))}>
      <ul class="erased" aria-label="What is gone">
        {gone.map(([what, number]) => (
          <li key={what}>
            {what.replaceAll('_', ' ')} <strong>{count(number)}</strong>
          </li>
        ))}
      </ul>
      {request.error.value && <ErrorNote error={request.error.value} />}
      <p class="small" role="status">
        {isDone
          ? 'Nothing is left that can be read. The store’s files keep old bytes until they are compacted.'
          : `Nobody is shown them any more. What mentions them is still looked for: ${now.looking_for}.`}
      </p>
    </Told>
  )
}
