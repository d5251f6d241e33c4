// How good the data is that comes in: from whom, and what is wrong with it.

import type { Summary } from '../../shapes'
import { Empty } from '../../ui/empty'
import { Table } from '../../ui/table'
import { count } from '../../ui/words'

/** Findings that are shown; the API has all. */
const SHOWN = 8

export function QualityCard({ found }: { found: Summary | undefined }) {
  const findings = found?.findings ?? []
  const sources = found?.sources ?? []
  return (
    <section class="card" aria-label="Data quality">
      <h2>Data quality</h2>
      {sources.length > 0 && (
        <Table label="By source" head={['Source', 'Accepted', 'Rejected', 'Twice']}>
          {sources.map(({ name, counts }) => (
            <tr key={name}>
              <td>{name}</td>
              {[counts.accepted, counts.rejected, counts.duplicates].map((number, index) => (
                <td key={index} class="number">
                  {count(number)}
                </td>
              ))}
            </tr>
          ))}
        </Table>
      )}
      {findings.length > 0 ? (
        <Table label="What was wrong" head={['Field', 'What was wrong', 'Records']}>
          {findings.slice(0, SHOWN).map(({ name, counts }) => {
            const at = name.lastIndexOf('.')
            return (
              <tr key={name}>
                <td>{at > 0 ? <code>{name.slice(0, at)}</code> : 'the row'}</td>
                <td>{name.slice(at + 1).replaceAll('_', ' ')}</td>
                <td class="number">{count(counts.found)}</td>
              </tr>
            )
          })}
        </Table>
      ) : (
        <Empty title={found ? 'Nothing was wrong' : 'Loading…'}>
          {found ? 'Every record so far could be read as it was meant.' : 'This takes a moment.'}
        </Empty>
      )}
    </section>
  )
}
