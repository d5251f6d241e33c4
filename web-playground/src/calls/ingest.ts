// Sending records, and what became of them.

import { type Call, json } from '../api'
import { operation } from '../queries'
import type { BatchQuality, FileReport, FileParts, IngestReport, Reject, Replay } from '../shapes'

export interface IngestOptions {
  source?: string
  /** `column:field`, for columns that go by names of their own. */
  map?: string[]
  /** The same request under the same key is stored once. */
  key?: string
}

/** When every row is bad the status is 422, and the body still says what is wrong with each. */
export const ingest = (body: string | Blob, contentType: string, options: IngestOptions = {}): Call<IngestReport> => {
  const records = contentType === 'application/json' && typeof body === 'string' ? recordsOf(body) : undefined
  const query = {
    ...(options.source ? { source: options.source } : {}),
    ...(options.map?.length ? { map: options.map } : {}),
  }
  return {
    method: 'POST',
    path: '/api/ingest',
    ...(Object.keys(query).length > 0 ? { query } : {}),
    ...(options.key ? { headers: { 'Idempotency-Key': options.key } } : {}),
    contentType,
    body,
    ...(body instanceof File ? { fileName: body.name } : {}),
    accepts: [422],
    ...(records ? { graphql: operation('ingest', { records }) } : {}),
  }
}

/** The records of a JSON text, as GraphQL wants them; none of a text that is none. */
function recordsOf(text: string): unknown[] | undefined {
  try {
    const parsed = JSON.parse(text) as { data?: unknown } | unknown[]
    const inner = Array.isArray(parsed) ? parsed : (parsed.data ?? parsed)
    return Array.isArray(inner) ? inner : [inner]
  } catch {
    return undefined
  }
}

const ofBatch = (batch: string, what: string) => `/api/ingest/${encodeURIComponent(batch)}/${what}`

export const batchQuality = (batch: string): Call<BatchQuality> => ({
  method: 'GET',
  path: ofBatch(batch, 'quality'),
  graphql: operation('batch', { id: batch }),
})

export const rejects = (batch: string, limit: number, after = 0): Call<{ rejects: Reject[] }> => ({
  method: 'GET',
  path: ofBatch(batch, 'rejects'),
  query: { limit, ...(after > 0 ? { after } : {}) },
})

/** Mended records take the place of the rejects whose `row` they name. */
export const replay = (batch: string, records: Record<string, unknown>[]): Call<Replay> => ({
  method: 'POST',
  path: ofBatch(batch, 'replay'),
  ...json(records),
  accepts: [422],
  graphql: operation('replay_rejects', { batch, records }),
})

/** What is stored of a file that was sent in parts, all together. */
export const fileReport = (file: string): Call<FileReport> => ({ method: 'GET', path: `/api/ingest/files/${file}` })

export const fileParts = (file: string, after = 0): Call<FileParts> => ({
  method: 'GET',
  path: `/api/ingest/files/${file}/parts`,
  query: { after },
})
