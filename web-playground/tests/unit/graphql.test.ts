import { readFileSync } from 'node:fs'

import { buildSchema, parse, validate } from 'graphql'
import { getVariableValues } from 'graphql/execution/values'
import type { OperationDefinitionNode } from 'graphql'
import { describe, expect, it } from 'vitest'

import type { Call, GraphqlText } from '../../src/api'
import { auditLog } from '../../src/calls/administration'
import { frequentInterests, series, summary } from '../../src/calls/analytics'
import { classify, correct, corrections, withdraw } from '../../src/calls/classify'
import * as cohorts from '../../src/calls/cohorts'
import { batchQuality, ingest, replay } from '../../src/calls/ingest'
import * as people from '../../src/calls/people'
import * as webhooks from '../../src/calls/webhooks'
import { COHORT_CHANGED, PROFILE_CHANGED, PROFILE_MERGED } from '../../src/live'

const schema = buildSchema(readFileSync(new URL('../../../schema/schema.graphql', import.meta.url), 'utf8'))

const webhook = { name: 'n', url: 'https://example.com', kinds: ['cohort.entered'], cohorts: ['sports'], fields: ['email'] }

const CALLS: Record<string, Call<unknown>> = {
  lookUpByEmail: people.lookUp('email', 'a@example.com'),
  lookUpByCookie: people.lookUp('cookie', 'a'),
  profileById: people.profileById('p1'),
  erase: people.erase('email', 'a@example.com', 'asked for'),
  searchUsers: people.searchUsers({ q: 'ann', cohort: 'sports', city: 'Rome', country: 'Italy' }, 20, 40),
  suggest: people.suggest('an'),
  similarInterests: people.similarInterests('tennis', 5),
  neighboursOf: people.neighboursOf(['tennis', 'golf'], 5),
  similarUsers: people.similarUsers('p1', 5),
  identityGraph: people.identityGraph('p1'),
  provenance: people.provenance('p1'),
  timeline: people.timeline('p1', 10, 'c'),
  rawRow: people.rawRow('r-1'),
  latestMerges: people.latestMerges(5),
  conflicts: people.conflicts('open', 5, 'c'),
  reviewConflict: people.reviewConflict('c', 'keep_apart'),
  undoMerge: people.undoMerge('m'),
  cutLink: people.cutLink('p1', 'c', 'a@example.com'),
  ingest: ingest('{"data":[{"cookie":"a"}]}', 'application/json'),
  batchQuality: batchQuality('b'),
  replay: replay('b', [{ row: 1, cookie: 'a' }]),
  listCohorts: cohorts.listCohorts(),
  cohortUsers: cohorts.cohortUsers('sports', 20, 'c'),
  memberIds: cohorts.memberIds('sports', 20, 'c'),
  createByInterest: cohorts.createCohort({ name: 'a', description: 'b', examples: ['c'], threshold: 0.5 }),
  createByRule: cohorts.createCohort({ name: 'a', expression: 'has(profile.email)' }),
  createOfOthers: cohorts.createCohort({ name: 'a', all: ['sports'], any: [], none: ['music'] }),
  changeCohort: cohorts.changeCohort('a', { name: 'a', expression: 'has(profile.email)' }),
  dropCohort: cohorts.dropCohort('a'),
  previewCohort: cohorts.previewCohort('has(profile.email)'),
  combineCohorts: cohorts.combineCohorts({ all: ['sports'], any: [], none: [] }),
  overlaps: cohorts.overlaps(['sports']),
  versions: cohorts.versions('a'),
  rollBack: cohorts.rollBack('a', 1),
  classify: classify(['tennis']),
  corrections: corrections(),
  correct: correct('tennis', ['Sports']),
  withdraw: withdraw('tennis'),
  auditLog: auditLog({ user: 'ann', action: 'getUser', email: 'a@example.com' }, 20, '2026-01-01T00:00:00Z'),
  summary: summary(),
  seriesOfPeople: series({ of: 'people', step: 'hour' }),
  seriesOfACohort: series({ of: 'cohort', name: 'sports', step: 'day' }),
  frequentInterests: frequentInterests(10),
  listWebhooks: webhooks.listWebhooks(),
  createWebhook: webhooks.createWebhook(webhook),
  changeWebhook: webhooks.changeWebhook('w', { ...webhook, paused: true }),
  testWebhook: webhooks.testWebhook('w'),
  rotateSecret: webhooks.rotateSecret('w'),
  deliveries: webhooks.deliveries('w', 20, true, 5),
  replayDeadLetters: webhooks.replayDeadLetters('w'),
}

/** What the schema has against a text and its variables. */
function problems({ query, variables }: GraphqlText): string[] {
  const document = parse(query)
  const invalid = validate(schema, document).map(({ message }) => message)
  const operation = document.definitions.find((one) => one.kind === 'OperationDefinition') as OperationDefinitionNode
  const declared = (operation.variableDefinitions ?? []).map((one) => one.variable.name.value)
  const unknown = Object.keys(variables).filter((name) => !declared.includes(name))
  const { errors = [] } = getVariableValues(schema, operation.variableDefinitions ?? [], variables)
  return [...invalid, ...unknown.map((name) => `$${name} is not declared`), ...errors.map(({ message }) => message)]
}

describe('the GraphQL that is shown beside a request', () => {
  it.each(Object.entries(CALLS))('%s is what the schema takes', (_, call) => {
    expect(call.graphql && problems(call.graphql)).toEqual([])
  })

  it.each([PROFILE_CHANGED, PROFILE_MERGED, COHORT_CHANGED])('subscriptions are too', (query) => {
    expect(problems({ query, variables: { after: '1-1' } })).toEqual([])
  })
})
