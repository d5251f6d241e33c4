// Who is told of what: webhooks, what became of their messages, and how to send them again.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import {
  changeWebhook,
  dropWebhook,
  listWebhooks,
  replayDeadLetters,
  rotateSecret,
  testWebhook,
} from '../../calls/webhooks'
import { useRequest } from '../../request'
import type { Webhook, WebhookTest, WebhookWithSecret } from '../../shapes'
import { Asked } from '../../ui/asked'
import { CopyButton } from '../../ui/copy'
import { Confirm } from '../../ui/dialog'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { count } from '../../ui/words'
import { DeliveryLog } from './deliveries'
import { NewWebhook } from './new'

export function Webhooks() {
  const request = useRequest<{ webhooks: Webhook[] }>()
  const chosen = useSignal<string | undefined>(undefined)
  const making = useSignal(false)
  const secret = useSignal<WebhookWithSecret | undefined>(undefined)
  const load = () => request.run(listWebhooks())
  useEffect(() => void load(), [])
  const made = async (answer: WebhookWithSecret) => {
    secret.value = answer
    making.value = false
    chosen.value = answer.webhook.id
    await load()
  }
  const webhooks = request.answer.value?.webhooks ?? []
  const one = webhooks.find(({ id }) => id === chosen.value)
  return (
    <div class="split narrow-first">
      <section class="card" aria-label="Webhooks" aria-busy={request.busy.value}>
        <div class="card-head">
          <h2>Webhooks</h2>
          <span class="actions">
            <button type="button" class="quiet" onClick={() => void load()}>
              Refresh
            </button>
            <button type="button" class="primary" onClick={() => (making.value = true)}>
              New webhook
            </button>
          </span>
        </div>
        {request.error.value ? (
          <ErrorNote error={request.error.value} />
        ) : webhooks.length > 0 ? (
          <ul class="requests">
            {webhooks.map((webhook) => (
              <li key={webhook.id}>
                <button
                  type="button"
                  aria-pressed={chosen.value === webhook.id}
                  onClick={() => {
                    chosen.value = webhook.id
                    making.value = false
                  }}
                >
                  <strong>{webhook.name}</strong>
                  <span class="small">{count(webhook.delivered)} delivered</span>
                  <State webhook={webhook} />
                </button>
              </li>
            ))}
          </ul>
        ) : (
          <Empty title={request.answer.value ? 'Nobody is told yet' : 'Loading…'}>
            {request.answer.value ? 'Press New webhook, and name an address of yours that takes POST requests.' : 'This takes a moment.'}
          </Empty>
        )}
        <Asked call={listWebhooks()} />
      </section>
      {making.value ? (
        <NewWebhook onMade={made} onCancel={() => (making.value = false)} />
      ) : one ? (
        <One
          key={one.id}
          webhook={one}
          secret={secret.value?.webhook.id === one.id ? secret.value.secret : undefined}
          onSecret={(answer) => (secret.value = answer)}
          onChanged={load}
        />
      ) : (
        <section class="card" aria-label="Webhook">
          <Empty title="No webhook chosen">Choose one to see what was sent, or make a new one.</Empty>
        </section>
      )}
    </div>
  )
}

function State({ webhook }: { webhook: Webhook }) {
  const tone = { active: 'good', paused: 'plain', failing: 'warn', disabled: 'bad' }[webhook.state]
  return <span class={`badge ${tone}`}>{webhook.state}</span>
}

function One(props: {
  webhook: Webhook
  secret: string | undefined
  onSecret: (answer: WebhookWithSecret) => void
  onChanged: () => Promise<unknown>
}) {
  const { webhook } = props
  const test = useRequest<WebhookTest>()
  const change = useRequest<unknown>()
  const dropping = useSignal(false)
  /** Grows when the log should be read anew. */
  const round = useSignal(0)
  const { name, url, kinds, cohorts, fields, purpose } = webhook
  const definition = { name, url, kinds, cohorts, fields, ...(purpose ? { purpose } : {}) }
  const does = async (act: Promise<unknown>) => {
    await act
    await props.onChanged()
    round.value++
  }
  const rotate = async () => {
    const answer = (await change.run(rotateSecret(webhook.id))) as WebhookWithSecret | undefined
    if (answer) props.onSecret(answer)
  }
  const result = test.answer.value
  return (
    <div class="stack">
      <section class="card" aria-label="Webhook">
        <div class="card-head">
          <h2 class="person">{webhook.name}</h2>
          <State webhook={webhook} />
        </div>
        <p>
          <code>{webhook.url}</code>
        </p>
        <dl class="facts">
          <Fact label="Of what">{webhook.kinds.join(', ')}</Fact>
          <Fact label="Cohorts">{webhook.cohorts.join(', ') || 'all'}</Fact>
          <Fact label="Told of the person">{webhook.fields.join(', ') || 'nothing but the id'}</Fact>
          {webhook.purpose && <Fact label="Only with consent to">{webhook.purpose}</Fact>}
        </dl>
        <dl class="figures">
          {(
            [
              ['Delivered', webhook.delivered],
              ['Given up', webhook.dead],
              ['Left out', webhook.skipped],
            ] as const
          ).map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{count(value)}</dd>
            </div>
          ))}
        </dl>
        {webhook.problem && <p class="note warn">{webhook.problem}</p>}
        {props.secret && (
          <p class="note">
            <strong>The secret is shown this once:</strong>
            <span>
              <code>{props.secret}</code> <CopyButton text={() => props.secret ?? ''} label="Copy secret" />
            </span>
          </p>
        )}
        <div class="actions">
          <button type="button" disabled={test.busy.value} onClick={() => void test.run(testWebhook(webhook.id))}>
            Send a test
          </button>
          <button
            type="button"
            disabled={change.busy.value}
            onClick={() => void does(change.run(changeWebhook(webhook.id, { ...definition, paused: webhook.state !== 'paused' })))}
          >
            {webhook.state === 'paused' ? 'Go on' : 'Pause'}
          </button>
          {webhook.dead > 0 && (
            <button type="button" disabled={change.busy.value} onClick={() => void does(change.run(replayDeadLetters(webhook.id)))}>
              Send dead letters again
            </button>
          )}
          <button type="button" disabled={change.busy.value} onClick={() => void rotate()}>
            New secret
          </button>
          <button type="button" class="danger-quiet" onClick={() => (dropping.value = true)}>
            Forget…
          </button>
        </div>
        {result && (
          <p class={`note ${result.delivered ? 'good' : 'bad'}`} role="status">
            {result.delivered
              ? `The receiver took it: ${result.status} in ${result.ms} ms.`
              : `The receiver did not take it: ${result.error ?? result.status}.`}
          </p>
        )}
        {test.error.value && <ErrorNote error={test.error.value} />}
        {change.error.value && <ErrorNote error={change.error.value} />}
        <Asked call={testWebhook(webhook.id)} what="The test" />
        {dropping.value && (
          <Confirm
            title={`Forget ${webhook.name}?`}
            action="Forget it"
            onCancel={() => (dropping.value = false)}
            onConfirm={() => void does(change.run(dropWebhook(webhook.id)))}
          >
            <p>Nothing more is sent there, and its log is deleted.</p>
          </Confirm>
        )}
      </section>
      <DeliveryLog key={round.value} id={webhook.id} />
    </div>
  )
}

function Fact({ label, children }: { label: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  )
}
