// The life of one request on a screen: none yet, under way, answered, failed.

import { type Signal, useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'

import { ApiError, type Call } from './api'
import { send } from './session'

export interface Request<T> {
  /** The last answer; kept while the next is under way, so that nothing on the page jumps. */
  answer: Signal<T | undefined>
  error: Signal<ApiError | undefined>
  busy: Signal<boolean>
  run: (call: Call<T>) => Promise<T | undefined>
}

/** One request at a time: a newer one takes the older one's place. */
export function useRequest<T>(): Request<T> {
  const answer = useSignal<T | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal(false)
  const current = useRef<AbortController | undefined>(undefined)

  const run = async (call: Call<T>) => {
    current.current?.abort()
    const mine = new AbortController()
    current.current = mine
    busy.value = true
    try {
      const found = await send(call, mine.signal)
      if (current.current !== mine) return undefined
      answer.value = found
      error.value = undefined
      return found
    } catch (cause) {
      if (current.current !== mine) return undefined
      answer.value = undefined
      error.value = asApiError(cause)
      return undefined
    } finally {
      if (current.current === mine) busy.value = false
    }
  }
  return { answer, error, busy, run }
}

export function asApiError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, 'internal', String(cause))
}
