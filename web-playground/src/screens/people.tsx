// Find a person by any cookie or email.

import { useComputed, useSignal, useSignalEffect } from '@preact/signals'

import { lookUp } from '../api'
import { useRequest } from '../request'
import { route } from '../route'
import type { UserProfile } from '../shapes'
import { Choice } from '../ui/choice'
import { Curl } from '../ui/curl'
import { Empty } from '../ui/empty'
import { ErrorNote } from '../ui/error-note'
import { Profile } from './profile'

type By = 'email' | 'cookie'

const OPTIONS: { value: By; label: string }[] = [
  { value: 'email', label: 'Email' },
  { value: 'cookie', label: 'Cookie' },
]

export function People() {
  const by = useSignal<By>('email')
  const value = useSignal('john.smith@example.com')
  const request = useRequest<{ user_profile: UserProfile }>()
  const call = useComputed(() => lookUp(by.value, value.value.trim()))

  // A link from another screen names the person and asks at once.
  useSignalEffect(() => {
    const { screen, params } = route.value
    const named = OPTIONS.find((option) => params.get(option.value))
    if (screen !== 'people' || !named) return
    by.value = named.value
    value.value = params.get(named.value) ?? ''
    void request.run(lookUp(named.value, value.peek()))
  })

  const submit = (event: Event) => {
    event.preventDefault()
    void request.run(call.value)
  }
  const error = request.error.value
  return (
    <>
      <form class="card" onSubmit={submit}>
        <div class="search">
          <Choice legend="Look up by" name="by" options={OPTIONS} value={by.value} onChange={(next) => (by.value = next)} />
          <input
            class="grow"
            aria-label={by.value === 'email' ? 'Email address' : 'Cookie'}
            placeholder={by.value === 'email' ? 'name@example.com' : 'dk5h2p9s7f3j8m1n4v0x'}
            value={value.value}
            autocapitalize="none"
            autocomplete="off"
            spellcheck={false}
            required
            onInput={(event) => (value.value = event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={request.busy.value}>
            {request.busy.value ? 'Looking…' : 'Look up'}
          </button>
        </div>
        <Curl call={call.value} />
      </form>
      <section class="answer" aria-label="Profile" aria-busy={request.busy.value}>
        {error ? (
          <div class="card">
            {error.status === 404 ? (
              <Empty title="Nobody is known by this yet">
                Check the spelling, or send a record with this {by.value} on the Ingest screen.
              </Empty>
            ) : (
              <ErrorNote error={error} />
            )}
          </div>
        ) : request.answer.value ? (
          <Profile profile={request.answer.value.user_profile} />
        ) : (
          <div class="card">
            <Empty title="No one looked up yet">Enter an email address or a cookie, then press Look up.</Empty>
          </div>
        )}
      </section>
    </>
  )
}
