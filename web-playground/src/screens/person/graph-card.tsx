// Why somebody is one person: the identity graph as a drawing and as a list, and the merges behind it.

import { useSignal } from '@preact/signals'

import { cutLink, undoMerge } from '../../calls/people'
import { drawingOf } from '../../graph/identities'
import { may } from '../../permissions'
import { type Request, useRequest } from '../../request'
import { session } from '../../session'
import type { IdentityEdge, IdentityGraph, Judged, Merge } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Confirm } from '../../ui/dialog'
import { ErrorNote } from '../../ui/error-note'
import { Graph } from '../../ui/graph'
import { plural, when } from '../../ui/words'
import { identityGraph } from '../../calls/people'

/** High enough for a handful of nodes, low enough for a phone, in pixels. */
const HEIGHT = 320

export function GraphCard({ graph, onJudged }: { graph: Request<IdentityGraph>; onJudged: () => Promise<void> }) {
  const found = graph.answer.value
  const drawing = found && drawingOf(found)
  const mayJudge = may(session.value?.role ?? 'viewer', 'judge')
  return (
    <article class="card" aria-label="Identity graph">
      <div class="card-head">
        <h2>Identity graph</h2>
        {found && <span class="small">{plural(found.merges.length, 'merge')}</span>}
      </div>
      {graph.error.value ? (
        <ErrorNote error={graph.error.value} />
      ) : found && drawing ? (
        <>
          <Graph drawing={drawing} label={`Cookies and addresses of profile ${found.id}`} height={HEIGHT} />
          {drawing.left > 0 && <p class="small">And {plural(drawing.left, 'identifier')} that are not drawn.</p>}
          <Merges merges={found.merges} mayJudge={mayJudge} onJudged={onJudged} />
          <Links id={found.id} edges={found.edges} mayJudge={mayJudge} onJudged={onJudged} />
          <Asked call={identityGraph(found.id)} />
        </>
      ) : (
        <div class="graph" style={{ height: `${HEIGHT}px` }} />
      )}
    </article>
  )
}

function Merges(props: { merges: Merge[]; mayJudge: boolean; onJudged: () => Promise<void> }) {
  const asking = useSignal<Merge | undefined>(undefined)
  const request = useRequest<Judged>()
  if (props.merges.length === 0) return null
  const undo = async (merge: Merge) => {
    asking.value = undefined
    if (await request.run(undoMerge(merge.id))) await props.onJudged()
  }
  return (
    <>
      <ul class="merges" aria-label="Merges">
        {props.merges.map((merge) => (
          <li key={merge.id}>
            <span>
              <code>{merge.absorbed}</code> became <code>{merge.survivor}</code>
              <span class="small">
                {when(merge.at)}
                {merge.source && `, by a record of ${merge.source}`}
                {merge.undone_at && `; undone by ${merge.undone_by}, ${when(merge.undone_at)}`}
              </span>
            </span>
            {props.mayJudge && !merge.undone_at && (
              <button type="button" class="quiet" disabled={request.busy.value} onClick={() => (asking.value = merge)}>
                Undo
              </button>
            )}
          </li>
        ))}
      </ul>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {asking.value && (
        <Confirm
          title="Take these two apart?"
          action="Undo the merge"
          onCancel={() => (asking.value = undefined)}
          onConfirm={() => asking.value && void undo(asking.value)}
        >
          <p>
            Profile <code>{asking.value.absorbed}</code> becomes a person of its own again, with{' '}
            {[...asking.value.cookies, ...asking.value.emails].join(', ')}.
          </p>
          <p class="small">What tied them before counts no more. A later record that ties them merges them again.</p>
        </Confirm>
      )}
    </>
  )
}

function Links(props: { id: string; edges: IdentityEdge[]; mayJudge: boolean; onJudged: () => Promise<void> }) {
  const request = useRequest<Judged>()
  if (props.edges.length === 0) return null
  const cut = async (edge: IdentityEdge) => {
    if (await request.run(cutLink(props.id, edge.cookie, edge.email))) await props.onJudged()
  }
  return (
    <details>
      <summary>The links as a list</summary>
      <ul class="merges" aria-label="Links">
        {props.edges.map((edge, index) => (
          // Masked, two links may look the same.
          <li key={index}>
            <span>
              <code>{edge.cookie}</code> {edge.ties ? 'with' : 'kept apart from'} <code>{edge.email}</code>
              <span class="small">
                {when(edge.at)}
                {edge.source && `, by a record of ${edge.source}`}
              </span>
            </span>
            {props.mayJudge && edge.ties && (
              <button type="button" class="quiet" disabled={request.busy.value} onClick={() => void cut(edge)}>
                Cut
              </button>
            )}
          </li>
        ))}
      </ul>
      {request.error.value && <ErrorNote error={request.error.value} />}
    </details>
  )
}
