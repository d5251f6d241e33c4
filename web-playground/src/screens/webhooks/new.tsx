// A webhook to make.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { listCohorts } from '../../calls/cohorts'
import { createWebhook, type WebhookDefinition } from '../../calls/webhooks'
import { useRequest } from '../../request'
import type { Cohort, WebhookWithSecret } from '../../shapes'
import { Asked } from '../../ui/asked'
import { ErrorNote } from '../../ui/error-note'

const KINDS = ['cohort.entered', 'cohort.left', 'profile.changed', 'profile.merged']

/** What may be told of a person; exports have more. */
const FIELDS = ['email', 'first_name', 'last_name', 'phone_number', 'city', 'country', 'interests', 'cohorts']

export function NewWebhook(props: { onMade: (answer: WebhookWithSecret) => Promise<void>; onCancel: () => void }) {
  const request = useRequest<WebhookWithSecret>()
  const cohorts = useRequest<{ cohorts: Cohort[] }>()
  const draft = useSignal<WebhookDefinition>({ name: '', url: '', kinds: KINDS.slice(0, 2), cohorts: [], fields: [] })
  useEffect(() => void cohorts.run(listCohorts()), [])
  const set = (change: Partial<WebhookDefinition>) => (draft.value = { ...draft.value, ...change })
  const call = createWebhook(draft.value)
  const submit = async (event: Event) => {
    event.preventDefault()
    const answer = await request.run(call)
    if (answer) await props.onMade(answer)
  }
  return (
    <form class="card" aria-label="New webhook" onSubmit={submit}>
      <h2>New webhook</h2>
      <label class="field">
        Name
        <input value={draft.value.name} required placeholder="Newsletter" onInput={(event) => set({ name: event.currentTarget.value })} />
      </label>
      <label class="field">
        Address
        <input
          type="url"
          value={draft.value.url}
          required
          placeholder="https://example.com/hooks/cdp"
          onInput={(event) => set({ url: event.currentTarget.value })}
        />
      </label>
      <Checks legend="Of what" options={KINDS} chosen={draft.value.kinds ?? []} onChange={(kinds) => set({ kinds })} />
      <Checks
        legend="Of which cohorts; none means all"
        options={(cohorts.answer.value?.cohorts ?? []).map(({ name }) => name)}
        chosen={draft.value.cohorts ?? []}
        onChange={(chosen) => set({ cohorts: chosen })}
      />
      <Checks
        legend="What is told of the person besides their id"
        options={FIELDS}
        chosen={draft.value.fields ?? []}
        onChange={(fields) => set({ fields })}
      />
      {request.error.value && <ErrorNote error={request.error.value} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={request.busy.value}>
          Make it
        </button>
        <button type="button" class="quiet" onClick={props.onCancel}>
          Cancel
        </button>
      </div>
      <Asked call={call} />
    </form>
  )
}

function Checks(props: { legend: string; options: string[]; chosen: string[]; onChange: (chosen: string[]) => void }) {
  const { options, chosen } = props
  const toggle = (option: string) =>
    props.onChange(chosen.includes(option) ? chosen.filter((one) => one !== option) : [...chosen, option])
  return (
    <fieldset class="checks">
      <legend class="field-label">{props.legend}</legend>
      {options.map((option) => (
        <label key={option} class="check">
          <input type="checkbox" checked={chosen.includes(option)} onChange={() => toggle(option)} />
          {option}
        </label>
      ))}
    </fieldset>
  )
}
