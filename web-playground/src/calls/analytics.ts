// How the platform fares, counted as it happens.

import type { Call } from '../api'
import { operation } from '../queries'
import type { FrequentInterest, SeriesPoint, Summary } from '../shapes'

export const summary = (): Call<Summary> => ({
  method: 'GET',
  path: '/api/analytics/summary',
  graphql: operation('analytics_summary'),
})

export type Step = 'hour' | 'day'

export interface SeriesOf {
  of: 'people' | 'cohort' | 'source' | 'finding'
  name?: string
  from?: string
  step: Step
}

export const series = ({ of, name, from, step }: SeriesOf): Call<{ points: SeriesPoint[] }> => {
  const named = name ? { name } : {}
  return {
    method: 'GET',
    path: '/api/analytics/series',
    query: { of, ...named, ...(from ? { from } : {}), step },
    graphql: operation('analytics_series', { of: of.toUpperCase(), ...named, step: step.toUpperCase() }),
  }
}

export const frequentInterests = (limit: number): Call<{ interests: FrequentInterest[] }> => ({
  method: 'GET',
  path: '/api/analytics/interests',
  query: { limit },
  graphql: operation('frequent_interests', { first: limit }),
})
