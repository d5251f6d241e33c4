// Asking the classifier, and correcting it.

import { type Call, json } from '../api'
import { operation } from '../queries'
import type { Backfill, Classification, Correction } from '../shapes'

export const classify = (texts: string[]): Call<{ results: Classification[] }> => ({
  method: 'POST',
  path: '/api/classify',
  ...json({ texts }),
  graphql: operation('classify', { texts }),
})

export const corrections = (): Call<{ corrections: Correction[] }> => ({
  method: 'GET',
  path: '/api/corrections',
  graphql: operation('corrections'),
})

export const correct = (interest: string, cohorts: string[]): Call<{ correction: Correction; backfill: Backfill }> => ({
  method: 'PUT',
  path: '/api/corrections',
  ...json({ interest, cohorts }),
  graphql: operation('correct_interest', { interest, cohorts }),
})

export const withdraw = (interest: string): Call<Backfill> => ({
  method: 'DELETE',
  path: '/api/corrections',
  query: { interest },
  graphql: operation('withdraw_correction', { interest }),
})
