// What a cohort was, and the way back.

import { useEffect } from 'preact/hooks'

import { rollBack, versions } from '../../calls/cohorts'
import { may } from '../../permissions'
import { useRequest } from '../../request'
import { session } from '../../session'
import type { Cohort, CohortVersion, Defined } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'
import { when } from '../../ui/words'

export function Versions({ cohort, onDefined }: { cohort: Cohort; onDefined: (defined: Defined) => Promise<void> }) {
  const request = useRequest<{ versions: CohortVersion[] }>()
  const going = useRequest<Defined>()
  useEffect(() => void request.run(versions(cohort.slug)), [])
  const back = async (version: number) => {
    const defined = await going.run(rollBack(cohort.slug, version))
    if (defined) await onDefined(defined)
  }
  const found = request.answer.value?.versions ?? []
  return (
    <section class="card" aria-label="Versions">
      <h2>Versions</h2>
      {request.error.value && <ErrorNote error={request.error.value} />}
      <ul class="merges">
        {found.map((one) => (
          <li key={one.version}>
            <span>
              <strong>{one.version}</strong> {gistOf(one)}
              <span class="small">
                by {one.by}, {sinceWhen(one.at)}
              </span>
            </span>
            {one.version === cohort.version ? (
              <span class="badge">now</span>
            ) : (
              may(session.value?.role ?? 'viewer', 'define') && (
                <button type="button" class="quiet" disabled={going.busy.value} onClick={() => void back(one.version)}>
                  Go back to it
                </button>
              )
            )}
          </li>
        ))}
      </ul>
      {going.error.value && <ErrorNote error={going.error.value} />}
      <Asked call={versions(cohort.slug)} />
    </section>
  )
}

function gistOf(version: CohortVersion) {
  return version.expression ? <code>{version.expression}</code> : version.description
}

/** The cohorts of a new platform are older than any clock. */
const sinceWhen = (at: string): string => (at.startsWith('1970') ? 'from the start' : when(at))
