// Keys with which websites and servers send records, and do nothing else.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { listWriteKeys, makeWriteKey, originsOf, revokeWriteKey, type WriteKeyDraft } from '../../calls/administration'
import { useRequest } from '../../request'
import type { NewWriteKey, WriteKey } from '../../shapes'
import { Asked } from '../../ui/asked'
import { Choice } from '../../ui/choice'
import { CopyButton } from '../../ui/copy'
import { Confirm } from '../../ui/dialog'
import { Empty } from '../../ui/empty'
import { ErrorNote } from '../../ui/error-note'
import { Table } from '../../ui/table'
import { when } from '../../ui/words'

const KINDS: { value: WriteKey['kind']; label: string }[] = [
  { value: 'public', label: 'For a website' },
  { value: 'server', label: 'For a server' },
]

export function WriteKeys() {
  const request = useRequest<{ write_keys: WriteKey[] }>()
  const revoking = useRequest<unknown>()
  const asking = useSignal<WriteKey | undefined>(undefined)
  const making = useSignal(false)
  const made = useSignal<NewWriteKey | undefined>(undefined)
  const load = () => request.run(listWriteKeys())
  useEffect(() => void load(), [])
  const revoke = async ({ id }: WriteKey) => {
    asking.value = undefined
    await revoking.run(revokeWriteKey(id))
    await load()
  }
  const found = request.answer.value?.write_keys
  return (
    <section class="card" aria-label="Write keys" aria-busy={request.busy.value}>
      <div class="card-head">
        <h2>Write keys</h2>
        <button type="button" class="primary" onClick={() => (making.value = true)}>
          New key
        </button>
      </div>
      {request.error.value && <ErrorNote error={request.error.value} />}
      {made.value && <Text made={made.value} />}
      {making.value && (
        <NewKey
          onMade={async (answer) => {
            made.value = answer
            making.value = false
            await load()
          }}
          onCancel={() => (making.value = false)}
        />
      )}
      {found?.length === 0 ? (
        <Empty title="No keys yet">Press New key for one with which a website or a server sends records.</Empty>
      ) : (
        <Table label="All write keys" head={['Key', 'Sends as', 'Websites', 'Made', 'Last used', '']}>
          {found?.map((key) => (
            <tr key={key.id}>
              <td>
                <code>{key.hint}…</code> <span class="tag">{key.kind}</span>
                {key.label && <div class="small">{key.label}</div>}
              </td>
              <td>{key.source}</td>
              <td class="long">{key.origins.join(', ') || '–'}</td>
              <td>
                {when(key.created_at)} <span class="small">by {key.by}</span>
              </td>
              <td>{key.last_used_at ? when(key.last_used_at) : 'never'}</td>
              <td>
                {key.revoked_at ? (
                  <span class="badge bad">revoked</span>
                ) : (
                  <button type="button" class="quiet" aria-label={`Revoke ${key.label || key.source}`} onClick={() => (asking.value = key)}>
                    Revoke…
                  </button>
                )}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {revoking.error.value && <ErrorNote error={revoking.error.value} />}
      <Asked call={listWriteKeys()} />
      {asking.value && (
        <Confirm
          title={`Revoke the key of ${asking.value.source}?`}
          action="Revoke it"
          onCancel={() => (asking.value = undefined)}
          onConfirm={() => asking.value && void revoke(asking.value)}
        >
          <p>
            Whatever still sends with <code>{asking.value.hint}…</code> is refused from then on. It cannot be taken back.
          </p>
        </Confirm>
      )}
    </section>
  )
}

function Text({ made }: { made: NewWriteKey }) {
  return (
    <div class="note good" role="status">
      <p>
        <strong>The key of {made.write_key.source}. It is shown only now:</strong>
      </p>
      <div class="asked-body">
        <pre>{made.text}</pre>
        <CopyButton text={() => made.text} label="Copy" />
      </div>
    </div>
  )
}

function NewKey({ onMade, onCancel }: { onMade: (answer: NewWriteKey) => Promise<void>; onCancel: () => void }) {
  const request = useRequest<NewWriteKey>()
  const kind = useSignal<WriteKey['kind']>('public')
  const source = useSignal('')
  const label = useSignal('')
  const origins = useSignal('')
  const draft: WriteKeyDraft = {
    kind: kind.value,
    source: source.value.trim(),
    ...(label.value.trim() ? { label: label.value.trim() } : {}),
    ...(kind.value === 'public' ? { origins: originsOf(origins.value) } : {}),
  }
  const submit = async (event: Event) => {
    event.preventDefault()
    const answer = await request.run(makeWriteKey(draft))
    if (answer) await onMade(answer)
  }
  return (
    <form class="stack" aria-label="New key" onSubmit={submit}>
      <Choice legend="For what" name="key-kind" options={KINDS} value={kind.value} onChange={(next) => (kind.value = next)} />
      <label class="field">
        Source: the name under which its records are kept
        <input value={source.value} required placeholder="shop" onInput={(event) => (source.value = event.currentTarget.value)} />
      </label>
      {kind.value === 'public' && (
        <label class="field">
          Websites that may use it, with commas between
          <input
            value={origins.value}
            required
            placeholder="https://shop.example, https://www.shop.example"
            onInput={(event) => (origins.value = event.currentTarget.value)}
          />
        </label>
      )}
      <label class="field">
        Label (optional)
        <input value={label.value} placeholder="Online shop" onInput={(event) => (label.value = event.currentTarget.value)} />
      </label>
      {request.error.value && <ErrorNote error={request.error.value} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={request.busy.value}>
          Make it
        </button>
        <button type="button" class="quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
      <Asked call={makeWriteKey(draft)} />
    </form>
  )
}
