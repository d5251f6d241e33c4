// A file cut into parts that are requests of their own, as bytes: what a row says is never read here, so its
// encoding does not matter, as long as it writes ASCII as ASCII.

import type { Format } from './payload'

/** Rows in a part: one transaction of the server's. */
export const PART_ROWS_MAX = 1_000

/** Bytes of rows after which a part is closed before it has all its rows, as the server does. */
export const PART_BYTES_MAX = 4 * 1024 * 1024

export interface Part {
  /** The number of its first row in the file, from 1. */
  firstRow: number
  rows: number
  /** Of its rows as they lie in the file, line breaks left out. */
  bytes: number
  body: Blob
  contentType: string
}

const [QUOTE, COMMA, SEMICOLON, TAB, PIPE, LINE_FEED, RETURN, BLANK, BACKSLASH] = [34, 44, 59, 9, 124, 10, 13, 32, 92]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125]

const isSeparator = (byte: number) => byte === COMMA || byte === SEMICOLON || byte === TAB || byte === PIPE

/** A file that does not come to rows where it should. */
export class UnreadableFile extends Error {}

/** Takes bytes as they come, and gives parts as soon as they are whole. */
export class Splitter {
  private readonly parts: Part[] = []
  /** The row that has begun, in pieces of the chunks it reaches over. */
  private row: Uint8Array<ArrayBuffer>[] = []
  private rowBytes = 0
  private pending: Uint8Array<ArrayBuffer>[] = []
  private pendingRows = 0
  private pendingBytes = 0
  private rowsBefore = 0
  private header: Uint8Array<ArrayBuffer>[] | undefined
  private readonly find: (chunk: Uint8Array<ArrayBuffer>) => void

  constructor(private readonly format: Format) {
    this.find = { csv: csvRows, ndjson: lines, json: elements }[format](this)
  }

  push(chunk: Uint8Array<ArrayBuffer>): Part[] {
    this.find(chunk)
    return this.parts.splice(0)
  }

  /** What is left when the file ends, which need not end in a line break. */
  end(): Part[] {
    if (this.format !== 'json') this.endRow()
    this.endPart()
    return this.parts.splice(0)
  }

  /** A piece of the row under way. */
  take(piece: Uint8Array<ArrayBuffer>): void {
    if (piece.length === 0) return
    this.row.push(piece)
    this.rowBytes += piece.length
  }

  endRow(): void {
    const [row, bytes] = [this.row, this.rowBytes]
    this.row = []
    this.rowBytes = 0
    if (row.every((piece) => piece.every((byte) => byte === RETURN || byte === LINE_FEED || byte === BLANK))) return
    if (this.format === 'csv' && !this.header) {
      this.header = row
      return
    }
    this.pending.push(...row, SEPARATORS[this.format])
    this.pendingBytes += bytes
    this.pendingRows++
    if (this.pendingRows >= PART_ROWS_MAX || this.pendingBytes >= PART_BYTES_MAX) this.endPart()
  }

  private endPart(): void {
    if (this.pendingRows === 0) return
    const body =
      this.format === 'json'
        ? new Blob(['[', ...this.pending.slice(0, -1), ']'])
        : new Blob([...(this.header ? [...this.header, '\n'] : []), ...this.pending])
    const contentType = { csv: 'text/csv', ndjson: 'application/x-ndjson', json: 'application/json' }[this.format]
    this.parts.push({ firstRow: this.rowsBefore + 1, rows: this.pendingRows, bytes: this.pendingBytes, body, contentType })
    this.rowsBefore += this.pendingRows
    this.pending = []
    this.pendingRows = 0
    this.pendingBytes = 0
  }
}

const SEPARATORS: Record<Format, Uint8Array<ArrayBuffer>> = {
  csv: new Uint8Array([LINE_FEED]),
  ndjson: new Uint8Array([LINE_FEED]),
  json: new Uint8Array([COMMA]),
}

/** A line break inside quotes is part of the row. Quotes begin only where a value does. */
function csvRows(to: Splitter) {
  let isQuoted = false
  let isValueStart = true
  let before = 0
  return (chunk: Uint8Array<ArrayBuffer>) => {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (byte === QUOTE) {
        // Inside, the second of two quotes opens again what the first one closed.
        isQuoted = isQuoted ? false : isValueStart || before === QUOTE
      } else if (byte === LINE_FEED && !isQuoted) {
        to.take(chunk.subarray(from, at))
        to.endRow()
        from = at + 1
      }
      isValueStart = isSeparator(byte) || byte === LINE_FEED
      before = byte
    }
    to.take(chunk.subarray(from))
  }
}

function lines(to: Splitter) {
  return (chunk: Uint8Array<ArrayBuffer>) => {
    let from = 0
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, from)) {
      to.take(chunk.subarray(from, at))
      to.endRow()
      from = at + 1
    }
    to.take(chunk.subarray(from))
  }
}

/** The elements of the list that the file is. */
function elements(to: Splitter) {
  let depth = 0
  let isText = false
  let isEscaped = false
  return (chunk: Uint8Array<ArrayBuffer>) => {
    let from = depth === 0 ? chunk.length : 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number
      if (isText) {
        if (isEscaped) isEscaped = false
        else if (byte === BACKSLASH) isEscaped = true
        else if (byte === QUOTE) isText = false
        continue
      }
      if (byte === QUOTE) isText = true
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        if (depth === 0 && byte === OPEN_OBJECT) throw new UnreadableFile('A large JSON file must be one list: [ … ]. Or make it NDJSON, an object a line.')
        if (depth++ === 0) from = at + 1
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        if (--depth > 0) continue
        to.take(chunk.subarray(from, at))
        to.endRow()
        from = chunk.length
      } else if (byte === COMMA && depth === 1) {
        to.take(chunk.subarray(from, at))
        to.endRow()
        from = at + 1
      }
    }
    to.take(chunk.subarray(from))
  }
}
