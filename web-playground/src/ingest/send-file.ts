// A large file, sent in parts. Each part has a key made of the file's content and the place of the part in
// it: sent again, the file changes nothing, and one that broke off goes on where it was.

import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

import { ApiError } from '../api'
import { fileParts, fileReport, ingest } from '../calls/ingest'
import type { Send } from '../api'
import type { FileReport } from '../shapes'
import type { Format } from './payload'
import { type Part, PART_BYTES_MAX, PART_ROWS_MAX, Splitter, UnreadableFile } from './split'

/** What parts are cut by. Parts that are cut otherwise are others. */
const CUT = `cdp page 1\n${PART_ROWS_MAX} ${PART_BYTES_MAX}\n`

/** Parts that are under way at once. */
const SENDING_MAX = 3

/** How often a part is tried while the server is busy; the pauses grow to about half a minute. */
const TRIES_MAX = 7

export interface FileProgress {
  phase: 'reading' | 'sending' | 'done'
  /** Bytes of the file that were dealt with, in this phase. */
  bytes: number
  rows: number
  rejected: number
  /** Rows that the server had from before. */
  known: number
}

export interface SentFile {
  file: string
  report: FileReport
  /** Batches in which rows were refused. */
  refused: string[]
}

export async function sendFile(
  file: File,
  format: Format,
  options: { source?: string; map?: string[] },
  send: Send,
  onProgress: (progress: FileProgress) => void,
  signal: AbortSignal,
): Promise<SentFile> {
  const progress: FileProgress = { phase: 'reading', bytes: 0, rows: 0, rejected: 0, known: 0 }
  const tell = (change: Partial<FileProgress>) => onProgress(Object.assign(progress, change))
  const id = await fileIdOf(file, options, (bytes) => tell({ bytes }), signal)
  const stored = await storedParts(id, send, signal)
  tell({ phase: 'sending', bytes: 0 })

  const refused: string[] = []
  const underWay = new Set<Promise<void>>()
  let failure: unknown
  const start = (part: Part) => {
    const sent = deliver(part).catch((cause: unknown) => {
      failure ??= cause
    })
    underWay.add(sent)
    void sent.finally(() => underWay.delete(sent))
  }
  const deliver = async (part: Part) => {
    const known = stored.get(part.firstRow)
    const answer = known ?? (await patiently(() => send(ingest(part.body, part.contentType, { ...options, key: keyOf(id, part.firstRow) }), signal), signal))
    const rejected = answer.records_rejected ?? 0
    if (rejected > 0 && answer.batch_id) refused.push(answer.batch_id)
    tell({ bytes: progress.bytes + part.bytes, rows: progress.rows + part.rows, rejected: progress.rejected + rejected, known: progress.known + (known ? part.rows : 0) })
  }

  for await (const part of partsOf(file, format)) {
    signal.throwIfAborted()
    if (failure) break
    start(part)
    if (underWay.size >= SENDING_MAX) await Promise.race(underWay)
  }
  await Promise.all(underWay)
  signal.throwIfAborted()
  if (failure) throw failure
  const report = await send(fileReport(id), signal)
  tell({ phase: 'done' })
  return { file: id, report, refused: refused.sort() }
}

const keyOf = (file: string, firstRow: number) => `file:${file}:${String(firstRow).padStart(12, '0')}`

/** Of the content, and of all that makes another import of the same content. */
export async function fileIdOf(
  file: Blob,
  options: { source?: string; map?: string[] },
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<string> {
  const content = sha256.create()
  let bytes = 0
  for await (const chunk of chunksOf(file)) {
    signal?.throwIfAborted()
    content.update(chunk)
    onBytes((bytes += chunk.length))
  }
  const whole = sha256.create()
  whole.update(utf8ToBytes(CUT + JSON.stringify([options.source ?? '', options.map ?? []])))
  whole.update(content.digest())
  return bytesToHex(whole.digest())
}

async function* partsOf(file: File, format: Format): AsyncGenerator<Part> {
  const splitter = new Splitter(format)
  let isFirst = true
  for await (const chunk of unpacked(file)) {
    if (isFirst && (chunk[0] === 0xff || chunk[0] === 0xfe)) {
      throw new UnreadableFile('This file is UTF-16. Save it as UTF-8, then choose it again.')
    }
    isFirst = false
    yield* splitter.push(chunk)
  }
  yield* splitter.end()
}

export const isPacked = (file: File): boolean => /\.gz$/i.test(file.name)

/** A packed file is unpacked here, since a part of a packed file is none. */
function unpacked(file: File): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  return isPacked(file) ? chunksOf(file, new DecompressionStream('gzip')) : chunksOf(file)
}

async function* chunksOf(file: Blob, through?: DecompressionStream): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const stream = through ? file.stream().pipeThrough(through) : file.stream()
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value as Uint8Array<ArrayBuffer>
    }
  } finally {
    reader.releaseLock()
  }
}

interface StoredPart {
  batch_id?: string
  records_rejected?: number
}

async function storedParts(id: string, send: Send, signal: AbortSignal): Promise<Map<number, StoredPart>> {
  const found = new Map<number, StoredPart>()
  let after: number | undefined = 0
  while (after !== undefined) {
    try {
      const page: { parts: ({ first_row: number } & StoredPart)[]; next_after?: number | null } = await send(fileParts(id, after), signal)
      for (const part of page.parts) found.set(part.first_row, part)
      after = page.next_after ?? undefined
    } catch (cause) {
      // Of a file that is new nothing is known.
      if (cause instanceof ApiError && cause.status === 404) return found
      throw cause
    }
  }
  return found
}

/** A busy server is asked again, with growing pauses. */
async function patiently<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await act()
    } catch (cause) {
      const isBusy = cause instanceof ApiError && [0, 409, 429, 503].includes(cause.status)
      if (!isBusy || tried >= TRIES_MAX || signal.aborted) throw cause
      await new Promise((done) => setTimeout(done, 250 * 2 ** tried))
    }
  }
}
