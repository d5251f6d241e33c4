// Forgetting somebody: for admins, and after a question.

import { useSignal } from '@preact/signals'

import { type By, erase } from '../../calls/people'
import { useRequest } from '../../request'
import { linkTo } from '../../route'
import type { UserProfile } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Confirm } from '../../ui/dialog'
import { ErrorNote } from '../../ui/error-note'

export function EraseButton({ profile }: { profile: UserProfile }) {
  const asking = useSignal(false)
  const typed = useSignal('')
  const request = useRequest<unknown>()
  const [by, value]: [By, string] = profile.email ? ['email', profile.email] : ['cookie', profile.cookie ?? '']
  const call = erase(by, value)
  const confirm = async () => {
    await request.run(call)
    if (!request.error.peek()) location.hash = linkTo('people')
  }
  return (
    <>
      <button type="button" class="danger-quiet" onClick={() => (asking.value = true)}>
        Erase…
      </button>
      {asking.value && (
        <Confirm
          title="Erase this person?"
          action="Erase for good"
          busy={request.busy.value || typed.value.trim() !== value}
          onCancel={() => (asking.value = false)}
          onConfirm={() => void confirm()}
        >
          <p>
            All that is known of <strong>{value}</strong> is deleted: every record as it arrived, the profile, its
            cookies and addresses, and its memberships. It cannot be taken back.
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
          {request.error.value && <ErrorNote error={request.error.value} />}
          <Asked call={call} />
        </Confirm>
      )}
    </>
  )
}
