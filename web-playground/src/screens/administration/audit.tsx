// Who read, changed, exported or erased what, the latest first.

import { useSignal, useSignalEffect } from '@preact/signals'

import { auditLog, type AuditQuestion } from '../../calls/administration'
import { useRequest } from '../../request'
import type { AuditEntry, AuditPage } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { Pager } from '../../ui/pager'
import { Table } from '../../ui/table'
import { shortened, when } from '../../ui/words'

const PAGE = 20

/** A pause in typing that is worth a request, in milliseconds. */
const PAUSE_MS = 300

const FIELDS: { of: keyof AuditQuestion; label: string; placeholder: string }[] = [
  { of: 'user', label: 'By whom', placeholder: 'ann' },
  { of: 'action', label: 'What', placeholder: 'eraseUser' },
  { of: 'email', label: 'About the address', placeholder: 'john@example.com' },
]

const DOORS: Record<string, string> = { rest: 'REST', graphql: 'GraphQL' }

export function AuditLog() {
  const request = useRequest<AuditPage>()
  const question = useSignal<AuditQuestion>({})
  /** Where each page begins, the first one without a time. */
  const pages = useSignal<(string | undefined)[]>([undefined])
  const call = auditLog(question.value, PAGE, pages.value.at(-1))
  useSignalEffect(() => {
    const next = auditLog(question.value, PAGE, pages.value.at(-1))
    const timer = setTimeout(() => void request.run(next), PAUSE_MS)
    return () => clearTimeout(timer)
  })
  const ask = (of: keyof AuditQuestion, typed: string) => {
    const { [of]: _, ...others } = question.value
    question.value = typed.trim() === '' ? others : { ...others, [of]: typed.trim() }
    pages.value = [undefined]
  }
  const page = request.answer.value
  const next = page?.next_until
  return (
    <section class="card" aria-label="Audit log" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Audit log</h2>
        <button type="button" class="quiet" onClick={() => (pages.value = [undefined])}>
          Newest
        </button>
      </div>
      <p class="small">
        People stand in it by pseudonyms: ask with an address, and what was asked about it is found. To look is told, too.
      </p>
      <form class="search" onSubmit={(event) => event.preventDefault()}>
        {FIELDS.map(({ of, label, placeholder }) => (
          <label key={of} class="field grow">
            {label}
            <input
              value={question.value[of] ?? ''}
              placeholder={placeholder}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              onInput={(event) => ask(of, event.currentTarget.value)}
            />
          </label>
        ))}
      </form>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : page && page.entries.length > 0 ? (
        <>
          <Table label="Entries of the audit log" head={['When', 'Who', 'What', 'About', 'Answer', 'From']}>
            {page.entries.map((entry) => (
              <Entry key={entry.request_id + entry.action} entry={entry} />
            ))}
          </Table>
          <Pager
            previous={pages.value.length > 1 ? () => (pages.value = pages.value.slice(0, -1)) : undefined}
            next={next ? () => (pages.value = [...pages.value, next]) : undefined}
          />
        </>
      ) : page ? (
        <Empty title="Nothing of that kind">Nobody did this, or longer ago than the log is kept.</Empty>
      ) : (
        <Empty title="Loading…">This takes a moment.</Empty>
      )}
      <Asked call={call} />
    </section>
  )
}

function Entry({ entry }: { entry: AuditEntry }) {
  return (
    <tr>
      <td>{when(entry.at)}</td>
      <td>
        {entry.caller || 'nobody known'} {entry.role && <span class="tag">{entry.role}</span>}
      </td>
      <td>
        <code>{entry.action}</code> <span class="small">by {DOORS[entry.door] ?? entry.door}</span>
      </td>
      <td class="long">
        {entry.subjects.map(({ kind, value }) => (
          <div key={kind + value} class="small">
            {kind} <code>{shortened(value)}</code>
          </div>
        ))}
      </td>
      <td>
        <span class={`badge ${entry.status < 400 ? 'good' : 'bad'}`}>{entry.status}</span>
      </td>
      <td>
        <code>{entry.address}</code>
      </td>
    </tr>
  )
}
