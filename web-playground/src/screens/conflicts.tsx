// What guards refused: links between cookies and addresses, for somebody to judge, and placeholders.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { conflicts, reviewConflict } from '../calls/people'
import { may } from '../permissions'
import { isLink, reasonOf } from '../refused'
import { useRequest } from '../request'
import { session } from '../session'
import type { Conflict, ConflictPage, Judged } from '../shapes'
import { Asked } from '../ui/asked'
import { Choice } from '../ui/choice'
import { Empty } from '../ui/empty'
import { ErrorNote } from '../ui/error-note'
import { RawDialog } from '../ui/origin'
import { Pager } from '../ui/pager'
import { plural, when } from '../ui/words'

/** On a page. */
const PAGE = 20

type Verdict = Conflict['verdict']

const VERDICTS: { value: Verdict; label: string }[] = [
  { value: 'open', label: 'Open' },
  { value: 'allowed', label: 'Allowed' },
  { value: 'kept_apart', label: 'Kept apart' },
]

export function Conflicts() {
  const verdict = useSignal<Verdict>('open')
  const request = useRequest<ConflictPage>()
  const judging = useRequest<Judged>()
  /** Where each page begins, the first one without a cursor. */
  const pages = useSignal<(string | undefined)[]>([undefined])
  const call = conflicts(verdict.value, PAGE, pages.value.at(-1))
  const load = () => request.run(call)
  useEffect(() => void load(), [verdict.value, pages.value])
  const judge = async (id: string, action: 'allow' | 'keep_apart') => {
    if (await judging.run(reviewConflict(id, action))) await load()
  }
  const page = request.answer.value
  const next = page?.next_cursor
  const judged = judging.answer.value
  return (
    <section class="card" aria-label="Refused links" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Refused links</h2>
        <Choice
          legend="Which ones"
          name="verdict"
          options={VERDICTS}
          value={verdict.value}
          onChange={(next) => {
            pages.value = [undefined]
            verdict.value = next
          }}
        />
      </div>
      <p class="small">
        Some links would make strangers one person, so they are not believed: an address that a whole shop uses, a
        cookie “undefined”. Where a guard was wrong, allow the link.
      </p>
      {request.error.value ? (
        <ErrorNote error={request.error.value} />
      ) : page && page.conflicts.length > 0 ? (
        <ul class="merges" aria-label="Links that were refused">
          {page.conflicts.map((one) => (
            <One key={one.id} conflict={one} busy={judging.busy.value} onJudge={judge} />
          ))}
        </ul>
      ) : page ? (
        <Empty title={verdict.value === 'open' ? 'Nothing to judge' : 'None of these'}>
          {verdict.value === 'open' ? 'Every link that was refused has been judged, or none was.' : 'Nobody judged like that yet.'}
        </Empty>
      ) : (
        <Empty title="Loading…">This takes a moment.</Empty>
      )}
      {judged && (
        <p class="note good" role="status">
          Judged. {judged.profiles.length > 0 && `${plural(judged.profiles.length, 'person', 'people')} changed by it.`}
        </p>
      )}
      {judging.error.value && <ErrorNote error={judging.error.value} />}
      {(pages.value.length > 1 || page?.next_cursor) && (
        <Pager
          previous={pages.value.length > 1 ? () => (pages.value = pages.value.slice(0, -1)) : undefined}
          next={next ? () => (pages.value = [...pages.value, next]) : undefined}
        />
      )}
      <Asked call={call} />
    </section>
  )
}

interface OneProps {
  conflict: Conflict
  busy: boolean
  onJudge: (id: string, action: 'allow' | 'keep_apart') => Promise<void>
}

function One({ conflict, busy, onJudge }: OneProps) {
  const opened = useSignal(false)
  const ends = [conflict.cookie, conflict.email].filter(Boolean)
  // What stands for nobody ties nobody, whatever anybody says.
  const mayJudge = isLink(conflict) && may(session.value?.role ?? 'viewer', 'judge')
  return (
    <li>
      <span>
        <code>{ends.join(' with ')}</code>
        <span class="small">
          {reasonOf(conflict.kind)} By {conflict.source}, {when(conflict.at)}
          {conflict.judged_by && `; judged by ${conflict.judged_by}, ${when(conflict.judged_at)}`}
        </span>
      </span>
      <span class="actions">
        <button type="button" class="quiet" onClick={() => (opened.value = true)}>
          Record
        </button>
        {mayJudge && conflict.verdict !== 'allowed' && (
          <button type="button" class="quiet" disabled={busy} onClick={() => void onJudge(conflict.id, 'allow')}>
            Allow
          </button>
        )}
        {mayJudge && conflict.verdict !== 'kept_apart' && (
          <button type="button" class="quiet" disabled={busy} onClick={() => void onJudge(conflict.id, 'keep_apart')}>
            Keep apart
          </button>
        )}
      </span>
      {opened.value && (
        <RawDialog raw={conflict.raw} title={`The record with ${ends.join(' and ')}`} onClose={() => (opened.value = false)} />
      )}
    </li>
  )
}
