// The operations of the repository, each with its variables, ready to run: a list beside the editor. A
// click opens one in a tab of its own.

import './operations.css'

import { type GraphiQLPlugin, useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { createElement } from 'react'

import { QUERIES } from '../queries'

/** A document with the variables that it comes with. */
export interface Operation {
  /** What the list calls it, for example `profile by cookie`. */
  name: string
  /** What its first line says of it. */
  about: string
  query: string
  variables: string
}

type Texts = Record<string, string>

const VARIABLES: Texts = import.meta.glob('../../../queries/variables/*.json', {
  query: '?raw',
  import: 'default',
  eager: true,
})

const stem = (path: string) => path.replace(/^.*\//, '').replace(/\.\w+$/, '')

/** The operations of files by their paths, with the variables of the same name, in the order of names. */
export function operationsOf(queries: Texts, variables: Texts): Operation[] {
  const values = new Map(Object.entries(variables).map(([path, text]) => [stem(path), text.trim()]))
  return Object.entries(queries)
    .map(([path, query]) => ({
      name: stem(path).replaceAll('_', ' '),
      about: /^#\s*(.*)/.exec(query)?.[1] ?? '',
      query,
      variables: values.get(stem(path)) ?? '',
    }))
    .sort((a, b) => a.name.localeCompare(b.name))
}

const OPERATIONS = operationsOf(QUERIES, VARIABLES)

function Icon() {
  return createElement(
    'svg',
    { viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', strokeWidth: 1.5, 'aria-hidden': true },
    createElement('path', { d: 'M6 3h12v18l-6-4-6 4z' }),
  )
}

function List() {
  const { addTab } = useGraphiQLActions()
  const queryEditor = useGraphiQL((state) => state.queryEditor)
  const variableEditor = useGraphiQL((state) => state.variableEditor)
  const open = ({ query, variables }: Operation) => {
    addTab()
    queryEditor?.setValue(query)
    variableEditor?.setValue(variables === '{}' ? '' : variables)
  }
  const item = (operation: Operation) =>
    createElement(
      'li',
      { key: operation.name },
      createElement('button', { type: 'button', onClick: () => open(operation) }, operation.name),
      createElement('p', null, operation.about),
    )
  return createElement(
    'section',
    { className: 'operations', 'aria-label': 'Saved operations' },
    createElement('h2', null, 'Saved operations'),
    createElement('ul', null, OPERATIONS.map(item)),
  )
}

/** The list as a pane of GraphiQL. */
export const OPERATIONS_PLUGIN: GraphiQLPlugin = { title: 'Saved operations', icon: Icon, content: List }
