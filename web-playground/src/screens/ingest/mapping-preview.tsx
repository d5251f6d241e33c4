// How each column will be read, before anything is sent; where the guess is wrong, it can be said.

import type { Signal } from '@preact/signals'

import { type Column, TARGETS } from '../../ingest/mapping'
import { Table } from '../../ui/table'

export type Mapping = Record<string, string>

/** `column:field` for what was said by hand. */
export const mapOf = (mapping: Mapping): string[] =>
  Object.entries(mapping)
    .filter(([, field]) => field !== '')
    .map(([column, field]) => `${column}:${field}`)

export function MappingPreview({ columns, mapping }: { columns: Column[]; mapping: Signal<Mapping> }) {
  if (columns.length === 0) return null
  const readAs = ({ name, field }: Column) => mapping.value[name] || field
  const hasCookie = columns.some((column) => readAs(column) === 'cookie')
  const ignored = columns.filter((column) => !readAs(column)).length
  return (
    <details class="mapping" open={!hasCookie}>
      <summary>
        How the {columns.length} columns will be read
        {ignored > 0 && `, ${ignored} of them only kept`}
      </summary>
      {!hasCookie && (
        <p class="note warn">No column is read as the cookie, which every record needs. Say below which one it is.</p>
      )}
      <Table label="How columns are read" head={['Column', 'Is read as', 'For example']}>
        {columns.map((column) => (
          <tr key={column.name}>
            <td>
              <code>{column.name}</code>
            </td>
            <td>
              <select
                aria-label={`${column.name} is read as`}
                value={mapping.value[column.name] ?? ''}
                onChange={(event) => (mapping.value = { ...mapping.value, [column.name]: event.currentTarget.value })}
              >
                <option value="">{column.field ?? 'only kept in the row'}</option>
                {TARGETS.filter((target) => target !== column.field).map((target) => (
                  <option key={target} value={target}>
                    {target}
                  </option>
                ))}
              </select>
            </td>
            <td class="long">{column.samples.join(' · ').slice(0, 120)}</td>
          </tr>
        ))}
      </Table>
    </details>
  )
}
