import { readdirSync } from 'node:fs'

import { describe, expect, it, vi } from 'vitest'

vi.mock('@graphiql/react', () => ({ useGraphiQL: vi.fn(), useGraphiQLActions: vi.fn() }))

const { operationsOf } = await import('../../src/graphiql/operations')

describe('the saved operations', () => {
  it('have the variables of the file of their name', () => {
    const found = operationsOf(
      { '../queries/b_two.graphql': '# Does b.\nquery B { b }', '../queries/a.graphql': '{ a }' },
      { '../queries/variables/b_two.json': '{ "id": 1 }\n' },
    )
    expect(found).toEqual([
      { name: 'a', about: '', query: '{ a }', variables: '' },
      { name: 'b two', about: 'Does b.', query: '# Does b.\nquery B { b }', variables: '{ "id": 1 }' },
    ])
  })

  it('all have a first line that says what they do, and variables', async () => {
    const folder = new URL('../../../queries/', import.meta.url)
    const names = readdirSync(folder).filter((name) => name.endsWith('.graphql'))
    const queries: Record<string, string> = import.meta.glob('../../../queries/*.graphql', {
      query: '?raw',
      import: 'default',
      eager: true,
    })
    const variables: Record<string, string> = import.meta.glob('../../../queries/variables/*.json', {
      query: '?raw',
      import: 'default',
      eager: true,
    })
    const found = operationsOf(queries, variables)
    expect(found).toHaveLength(names.length)
    for (const operation of found) {
      expect(operation.about, operation.name).not.toBe('')
      expect(() => JSON.parse(operation.variables), operation.name).not.toThrow()
    }
  })
})
