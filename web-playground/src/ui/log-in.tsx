// The way in, the same on both pages.

import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

import type { ApiError } from '../api'
import { asApiError } from '../request'
import { logIn, sessionNotice } from '../session'
import { ErrorNote } from './error-note'

export function LogIn({ children }: { children?: ComponentChildren }) {
  const error = useSignal<ApiError | undefined>(undefined)
  const busy = useSignal(false)

  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    busy.value = true
    error.value = undefined
    try {
      await logIn(String(form.get('username')).trim(), String(form.get('password')))
    } catch (cause) {
      error.value = asApiError(cause)
    } finally {
      busy.value = false
    }
  }

  return (
    <form class="card log-in" onSubmit={submit}>
      <h1>Log in</h1>
      {children}
      {sessionNotice.value && (
        <p class="note" role="status">
          {sessionNotice.value}
        </p>
      )}
      <label class="field">
        Username
        <input name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required />
      </label>
      <label class="field">
        Password
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <button type="submit" class="primary" disabled={busy.value}>
        {busy.value ? 'Logging in…' : 'Log in'}
      </button>
      <p class="small">Trying it out? <code>make run</code> prints an account for each role.</p>
      {error.value && <ErrorNote error={error.value} loggingIn />}
    </form>
  )
}
