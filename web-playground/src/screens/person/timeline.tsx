// All that arrived of somebody and was decided about them, the latest first.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { timeline } from '../../calls/people'
import { useRequest } from '../../request'
import type { Timeline, TimelineEntry } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'
import { NoText, pretty } from '../../ui/origin'
import { when } from '../../ui/words'

/** Entries that are asked for at once. */
const PAGE = 8

export function TimelineCard({ id }: { id: string; onJudged: () => Promise<void> }) {
  const request = useRequest<Timeline>()
  const entries = useSignal<TimelineEntry[]>([])
  const load = async (before?: string) => {
    const page = await request.run(timeline(id, PAGE, before))
    if (page) entries.value = before ? [...entries.peek(), ...page.entries] : page.entries
  }
  useEffect(() => void load(), [id])
  const next = request.answer.value?.next_cursor
  return (
    <article class="card" aria-label="Timeline">
      <h2>Timeline</h2>
      {request.error.value && <ErrorNote error={request.error.value} />}
      <ol class="timeline">
        {entries.value.map((entry) => (
          <Entry key={entry.cursor} entry={entry} />
        ))}
      </ol>
      {next && (
        <button type="button" disabled={request.busy.value} onClick={() => void load(next)}>
          Earlier
        </button>
      )}
      <Asked call={timeline(id, PAGE)} />
    </article>
  )
}

function Entry({ entry }: { entry: TimelineEntry }) {
  const { record, merge, decision } = entry
  return (
    <li class={record ? '' : 'turn'}>
      {record ? (
        <details>
          <summary>
            <span class="tag">{record.source}</span> <span class="gist">{gistOf(record.verbatim)}</span>
          </summary>
          {record.verbatim ? <pre>{pretty(record.verbatim)}</pre> : <NoText />}
          <p class="small">
            Cookie <code>{record.cookie}</code>, line {record.line} of batch <code>{record.batch_id}</code>
          </p>
        </details>
      ) : merge ? (
        <p>
          <span class="badge">merge</span> <code>{merge.absorbed}</code> became <code>{merge.survivor}</code>
          {merge.undone_at && <span class="small"> (undone)</span>}
        </p>
      ) : (
        <p>
          <span class="badge warn">{entry.kind.replace('_', ' ')}</span> by {decision?.by}
          {decision && decision.links.length > 0 && `: ${decision.links.map((l) => `${l.cookie} – ${l.email}`).join(', ')}`}
        </p>
      )}
      <time class="small" dateTime={entry.at}>
        {when(entry.at)}
      </time>
    </li>
  )
}

type Dict = Record<string, unknown>

/** What of a record people look for first: of a row, or of an event of a website. */
export function gistOf(verbatim: string): string {
  if (verbatim === '') return 'a record'
  try {
    const row = JSON.parse(verbatim) as Dict
    const { event, interests, properties, traits } = row as { event?: unknown; interests?: unknown; properties?: Dict; traits?: Dict }
    const likes = interests ?? properties?.interests ?? traits?.interests
    const who = row.email ?? traits?.email ?? row.userId
    const gist = [event, Array.isArray(likes) ? likes.join(', ') : likes, who, properties?.path ?? properties?.page]
    return gist.filter(Boolean).join(' · ') || 'a visit'
  } catch {
    return verbatim.slice(0, 60)
  }
}
