// Cohorts: listing, defining, trying out, and going back.

import { askGraphql, type Call, json } from '../api'
import { operation } from '../queries'
import type { Backfill, Cohort, CohortPage, CohortVersion, Combined, Defined, Overlap, Preview } from '../shapes'

export const listCohorts = (): Call<{ cohorts: Cohort[] }> => ({
  method: 'GET',
  path: '/api/cohorts',
  graphql: operation('cohorts'),
})

const ofCohort = (cohort: string, what = '') => `/api/cohorts/${encodeURIComponent(cohort)}${what}`

export const oneCohort = (cohort: string): Call<Cohort> => ({ method: 'GET', path: ofCohort(cohort) })

export const cohortUsers = (cohort: string, limit: number, cursor?: string): Call<CohortPage> => ({
  method: 'GET',
  path: '/api/cohort/users',
  query: { cohort, limit, ...(cursor === undefined ? {} : { cursor }) },
  graphql: operation('cohort_members', { name: cohort, first: limit, ...(cursor === undefined ? {} : { after: cursor }) }),
})

/** The ids of the same members: what leads to people whose addresses and cookies are masked. */
export const memberIds = (cohort: string, limit: number, cursor?: string): Call<MemberIds> =>
  askGraphql({
    query:
      'query MemberIds($name: String!, $first: Int, $after: String) {\n  cohort(name: $name) {\n    users(first: $first, after: $after) {\n      edges {\n        node {\n          id\n        }\n      }\n    }\n  }\n}\n',
    variables: { name: cohort, first: limit, ...(cursor === undefined ? {} : { after: cursor }) },
  })

export interface MemberIds {
  cohort: { users: { edges: { node: { id: string } }[] } } | null
}

/** A cohort as somebody defines it: with an expression by rule, with others by these, else by interest. */
export interface Definition {
  name: string
  description?: string
  examples?: string[]
  threshold?: number
  expression?: string
  all?: string[]
  any?: string[]
  none?: string[]
}

/** GraphQL keeps the cohorts that make one in an object of their own. */
function asInput({ all, any, none, ...cohort }: Definition): Record<string, unknown> {
  return all || any || none ? { ...cohort, combination: { all, any, none } } : { ...cohort }
}

export const createCohort = (cohort: Definition): Call<Defined> => ({
  method: 'POST',
  path: '/api/cohorts',
  ...json(cohort),
  graphql: operation('create_cohort', { cohort: asInput(cohort) }),
})

export const changeCohort = (slug: string, cohort: Definition): Call<Defined> => ({
  method: 'PUT',
  path: ofCohort(slug),
  ...json(cohort),
  graphql: operation('change_cohort', { name: slug, cohort: asInput(cohort) }),
})

export const dropCohort = (slug: string): Call<Defined> => ({
  method: 'DELETE',
  path: ofCohort(slug),
  graphql: operation('delete_cohort', { name: slug }),
})

export const checkRule = (expression: string): Call<{ ok: boolean }> => ({
  method: 'POST',
  path: '/api/rules/check',
  ...json({ expression }),
})

export const previewCohort = (expression: string): Call<Preview> => ({
  method: 'POST',
  path: '/api/cohorts/preview',
  ...json({ expression }),
  graphql: operation('preview_cohort', { expression }),
})

export interface Combination {
  all: string[]
  any: string[]
  none: string[]
}

export const combineCohorts = (of: Combination): Call<Combined> => ({
  method: 'POST',
  path: '/api/cohorts/combine',
  ...json(of),
  graphql: operation('combine_cohorts', { of }),
})

export const overlaps = (cohorts: string[] = []): Call<{ overlaps: Overlap[] }> => ({
  method: 'GET',
  path: '/api/cohorts/overlap',
  ...(cohorts.length > 0 ? { query: { cohorts: cohorts.join(',') } } : {}),
  graphql: operation('cohort_overlap', { cohorts }),
})

export const versions = (slug: string): Call<{ versions: CohortVersion[] }> => ({
  method: 'GET',
  path: ofCohort(slug, '/versions'),
  graphql: operation('cohort_versions', { name: slug }),
})

export const rollBack = (slug: string, version: number): Call<Defined> => ({
  method: 'POST',
  path: ofCohort(slug, '/rollback'),
  ...json({ version }),
  graphql: operation('roll_back_cohort', { name: slug, version }),
})

export const backfill = (id: string): Call<Backfill> => ({
  method: 'GET',
  path: `/api/backfills/${encodeURIComponent(id)}`,
})

export type ExportFormat = 'csv' | 'ndjson' | 'parquet'

/** A file of a cohort's members; shown as curl, and fetched by the browser as a download. */
export const exportCohort = (cohort: string, format: ExportFormat): Call<unknown> => ({
  method: 'GET',
  path: '/api/cohort/export',
  query: { cohort, format },
})
