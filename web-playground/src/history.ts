// The requests that the page made, for whoever wants to learn the API from them.

import { signal } from '@preact/signals'

import type { Call } from './api'

/** Older ones are forgotten. */
const KEPT_MAX = 60

export interface Asked {
  number: number
  call: Call<unknown>
  /** 0 when no answer came. */
  status: number
  tookMs: number
  at: Date
}

/** The latest first. */
export const history = signal<Asked[]>([])

let number = 0

export function note(call: Call<unknown>, status: number, tookMs: number): void {
  // A log-in carries a password, and what follows it secrets of the session.
  if (call.path.startsWith('/api/auth/')) return
  // Parts of files are large; what was in them is on the disk.
  const light = call.body instanceof Blob ? { ...call, body: new Blob() } : call
  const asked = { number: ++number, call: light, status, tookMs, at: new Date() }
  history.value = [asked, ...history.peek()].slice(0, KEPT_MAX)
}
