// What administrators look after: users and their sessions, write keys, and the audit log.

import { useSignal } from '@preact/signals'

import { session } from '../../session'
import { AuditLog } from './audit'
import { Sessions } from './sessions'
import { Users } from './users'
import { WriteKeys } from './write-keys'

export function Administration() {
  const user = useSignal(session.value?.username ?? '')
  return (
    <div class="stack">
      <div class="split">
        <Users chosen={user.value} onChoose={(name) => (user.value = name)} />
        <Sessions user={user.value} />
      </div>
      <WriteKeys />
      <AuditLog />
    </div>
  )
}
