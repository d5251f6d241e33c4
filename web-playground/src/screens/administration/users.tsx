// Who may log in, and as what.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { addUser, changeUser, listUsers, removeUser } from '../../calls/administration'
import { useRequest } from '../../request'
import { session } from '../../session'
import type { Role, User } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Confirm } from '../../ui/dialog'
import { ErrorNote } from '../../ui/error-note'
import { Table } from '../../ui/table'
import { when } from '../../ui/words'

const ROLES: Role[] = ['viewer', 'analyst', 'ingest', 'admin']

/** What the server asks of a password. */
const PASSWORD_CHARS_MIN = 12

interface UsersProps {
  /** Whose sessions are shown. */
  chosen: string
  onChoose: (name: string) => void
}

export function Users({ chosen, onChoose }: UsersProps) {
  const request = useRequest<{ users: User[] }>()
  const change = useRequest<unknown>()
  const adding = useSignal(false)
  const removing = useSignal<string | undefined>(undefined)
  const load = () => request.run(listUsers())
  useEffect(() => void load(), [])
  const does = async (act: Promise<unknown>) => {
    await act
    await load()
  }
  const users = request.answer.value?.users ?? []
  return (
    <section class="card" aria-label="Users" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Users</h2>
        <button type="button" class="primary" onClick={() => (adding.value = true)}>
          New user
        </button>
      </div>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {adding.value && (
        <NewUser
          onAdded={async () => {
            adding.value = false
            await load()
          }}
          onCancel={() => (adding.value = false)}
        />
      )}
      <Table label="All users" head={['Name', 'Role', 'Last log-in', '']}>
        {users.map((user) => (
          <tr key={user.name}>
            <td>
              <button type="button" class="link" aria-pressed={user.name === chosen} onClick={() => onChoose(user.name)}>
                {user.name}
              </button>{' '}
              {user.demo && <span class="tag">demo</span>} {user.disabled && <span class="badge warn">disabled</span>}
            </td>
            <td>
              {isFixed(user) ? (
                user.role
              ) : (
                <select
                  aria-label={`Role of ${user.name}`}
                  value={user.role}
                  onChange={(event) => void does(change.run(changeUser(user.name, { role: event.currentTarget.value as Role })))}
                >
                  {ROLES.map((role) => (
                    <option key={role}>{role}</option>
                  ))}
                </select>
              )}
            </td>
            <td>{user.last_login_at ? when(user.last_login_at) : 'never'}</td>
            <td>
              {!isFixed(user) && (
                <span class="actions">
                  <button
                    type="button"
                    class="quiet"
                    onClick={() => void does(change.run(changeUser(user.name, { disabled: !user.disabled })))}
                  >
                    {user.disabled ? 'Enable' : 'Disable'}
                  </button>
                  <button type="button" class="quiet" onClick={() => (removing.value = user.name)}>
                    Remove…
                  </button>
                </span>
              )}
            </td>
          </tr>
        ))}
      </Table>
      <p class="small">A change ends the user’s sessions. The users of a demo, and oneself, stay as they are here.</p>
      {change.error.value && <ErrorNote error={change.error.value} />}
      <Asked call={listUsers()} />
      {removing.value && (
        <Confirm
          title={`Remove ${removing.value}?`}
          action="Remove"
          onCancel={() => (removing.value = undefined)}
          onConfirm={() => {
            const name = removing.value ?? ''
            removing.value = undefined
            void does(change.run(removeUser(name)))
          }}
        >
          <p>Their sessions end at once. What they did stays in the audit log.</p>
        </Confirm>
      )}
    </section>
  )
}

/** A demo's users are known to everybody, and to lock oneself out is no use. */
const isFixed = (user: User): boolean => user.demo || user.name === session.value?.username

function NewUser({ onAdded, onCancel }: { onAdded: () => Promise<void>; onCancel: () => void }) {
  const request = useRequest<User>()
  const draft = useSignal<{ name: string; role: Role; password: string }>({ name: '', role: 'viewer', password: '' })
  const set = (change: Partial<typeof draft.value>) => (draft.value = { ...draft.value, ...change })
  const submit = async (event: Event) => {
    event.preventDefault()
    if (await request.run(addUser(draft.value))) await onAdded()
  }
  return (
    <form class="stack" aria-label="New user" onSubmit={submit}>
      <label class="field">
        Name
        <input
          value={draft.value.name}
          required
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          placeholder="ann"
          onInput={(event) => set({ name: event.currentTarget.value })}
        />
      </label>
      <label class="field">
        Role
        <select value={draft.value.role} onChange={(event) => set({ role: event.currentTarget.value as Role })}>
          {ROLES.map((role) => (
            <option key={role}>{role}</option>
          ))}
        </select>
      </label>
      <label class="field">
        Password, {PASSWORD_CHARS_MIN} characters or more
        <input
          type="password"
          value={draft.value.password}
          required
          minLength={PASSWORD_CHARS_MIN}
          autocomplete="new-password"
          onInput={(event) => set({ password: event.currentTarget.value })}
        />
      </label>
      {request.error.value && <ErrorNote error={request.error.value} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={request.busy.value}>
          Add them
        </button>
        <button type="button" class="quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
      {/* What is typed as a password is shown nowhere. */}
      <Asked call={addUser({ ...draft.value, password: '…' })} />
    </form>
  )
}
