// A rule to write: checked while it is written, with the place of what is wrong, and how many it would find.

import { type Signal, useSignal, useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { checkRule, previewCohort } from '../calls/cohorts'
import type { CelEditor } from '../cel/editor'
import { EXAMPLES, type Fault, faultOf } from '../cel/language'
import { useRequest } from '../request'
import type { Preview } from '../shapes'
import { Asked } from './asked'
import { ErrorNote } from './error-note'
import { PersonLink } from './person-row'
import { count, plural } from './words'

/** A pause in typing that is worth a check, in milliseconds. */
const PAUSE_MS = 250

export function RuleField({ text, cohorts }: { text: Signal<string>; cohorts: string[] }) {
  const place = useRef<HTMLDivElement>(null)
  const editor = useRef<CelEditor | undefined>(undefined)
  const names = useRef(cohorts)
  names.current = cohorts
  const check = useRequest<{ ok: boolean }>()
  const preview = useRequest<Preview>()
  const fault = useSignal<Fault | undefined>(undefined)

  useEffect(() => {
    let gone = false
    void import('../cel/editor').then(({ mountEditor }) => {
      if (!place.current || gone) return
      editor.current = mountEditor({
        place: place.current,
        text: text.peek(),
        label: 'Rule in CEL',
        cohorts: () => names.current,
        onChange: (next) => (text.value = next),
      })
    })
    return () => {
      gone = true
      editor.current?.destroy()
    }
  }, [])

  useSignalEffect(() => {
    const written = text.value
    const timer = setTimeout(async () => {
      if (written.trim() === '') {
        fault.value = undefined
        preview.answer.value = undefined
        return
      }
      const ok = await check.run(checkRule(written))
      const error = check.error.peek()
      // Something newer took its place, or the server is away.
      if (!ok && !error) return
      fault.value = error ? faultOf(error.message, written) : undefined
      editor.current?.setFault(fault.peek())
      if (ok) void preview.run(previewCohort(written))
    }, PAUSE_MS)
    return () => clearTimeout(timer)
  })

  const use = (expression: string) => {
    text.value = expression
    editor.current?.setText(expression)
  }
  const found = preview.answer.value
  const wrong = fault.value
  return (
    <div class="rule-field">
      <span class="field-label">Rule, in CEL</span>
      <div class="cel" ref={place} />
      <div class="rule-says" role="status">
        {wrong ? (
          <p class="bad-text">{short(wrong.message)}</p>
        ) : found ? (
          <p>
            <strong>{count(found.estimate)}</strong> of {plural(found.people, 'person', 'people')}{' '}
            {found.exact ? '' : 'about, '}would be in it
            {found.undecided > 0 && <span class="small">; of {count(found.undecided)} it asks what is not known</span>}
          </p>
        ) : (
          <p class="small">Ctrl+Space shows what a rule may speak of.</p>
        )}
      </div>
      {!wrong && preview.error.value && <ErrorNote error={preview.error.value} />}
      {!wrong && found && found.sample.length > 0 && (
        <p class="small sample">
          For example{' '}
          {found.sample.slice(0, 4).map((person, index) => (
            <span key={index}>
              {index > 0 && ', '}
              <PersonLink user={person} />
            </span>
          ))}
        </p>
      )}
      <ul class="chips" aria-label="Examples of rules">
        {EXAMPLES.map((example) => (
          <li key={example.title}>
            <button type="button" class="chip" onClick={() => use(example.expression)}>
              {example.title}
            </button>
          </li>
        ))}
      </ul>
      <Asked call={previewCohort(text.value)} what="The preview" />
    </div>
  )
}

/** The list of all that there is belongs into the completion, not into a message. */
const short = (message: string): string => message.replace(/; there are .*$/s, '. Ctrl+Space shows what there is.')
