// The editor for rules: colours, completion, and marks where something is wrong. Loaded when it is needed.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language'
import { setDiagnostics } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'

import { completionsAt, type Fault } from './language'

const CEL = StreamLanguage.define({
  token(stream) {
    if (stream.eatSpace()) return null
    if (stream.match(/"(\\.|[^"\\])*"?/)) return 'string'
    if (stream.match(/'(\\.|[^'\\])*'?/)) return 'string'
    if (stream.match(/\d+(\.\d+)?/)) return 'number'
    if (stream.match(/(true|false|null|in)\b/)) return 'keyword'
    if (stream.match(/\w+(?=\s*\()/)) return 'function'
    if (stream.match(/\w+/)) return 'variableName'
    if (stream.match(/&&|\|\||[!<>=+\-*/%?:]+/)) return 'operator'
    stream.next()
    return null
  },
  tokenTable: { function: tags.function(tags.variableName) },
})

const COLOURS = HighlightStyle.define([
  { tag: tags.string, color: 'var(--good)' },
  { tag: tags.number, color: 'var(--hue-1)' },
  { tag: tags.keyword, color: 'var(--hue-3)', fontWeight: '600' },
  { tag: tags.operator, color: 'var(--muted)' },
  { tag: tags.function(tags.variableName), color: 'var(--accent)' },
])

const LOOK = EditorView.theme({
  '&': { fontSize: '13.5px', backgroundColor: 'var(--sunken)', color: 'var(--text)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-content': { fontFamily: 'var(--mono)', padding: '10px 0', minHeight: '96px', caretColor: 'var(--text)' },
  '.cm-line': { padding: '0 12px' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-tooltip': {
    border: '1px solid var(--line-strong)',
    borderRadius: '8px',
    backgroundColor: 'var(--surface)',
    color: 'var(--text)',
    overflow: 'hidden',
  },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal', marginLeft: '14px' },
  '.cm-tooltip-lint': { padding: '6px 10px' },
})

export interface CelEditor {
  setText: (text: string) => void
  setFault: (fault: Fault | undefined) => void
  destroy: () => void
}

export function mountEditor(options: {
  place: Element
  text: string
  label: string
  cohorts: () => string[]
  onChange: (text: string) => void
}): CelEditor {
  const view = new EditorView({
    parent: options.place,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        closeBrackets(),
        autocompletion({
          icons: false,
          override: [
            ({ state, pos, explicit }) => {
              const found = completionsAt(state.sliceDoc(0, pos), options.cohorts())
              if (!found && !explicit) return null
              const { from, words } = found ?? completionsAt('p', [])!
              return {
                from: found ? from : pos,
                options: words.map(({ label, says, apply }) => ({ label, detail: says, ...(apply ? { apply } : {}) })),
                validFor: /^[\w.]*$/,
              }
            },
          ],
        }),
        // Tab leaves the editor, as it leaves every field.
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
        CEL,
        syntaxHighlighting(COLOURS),
        LOOK,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': options.label, spellcheck: 'false' }),
        placeholder('profile.age < 30 && "Sports" in cohorts'),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.onChange(update.state.doc.toString())
        }),
      ],
    }),
  })
  return {
    setText: (text) => {
      if (text === view.state.doc.toString()) return
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    },
    setFault: (fault) => {
      const length = view.state.doc.length
      const marks = fault
        ? [{ from: Math.min(fault.from, length), to: Math.min(fault.to, length), severity: 'error' as const, message: fault.message }]
        : []
      view.dispatch(setDiagnostics(view.state, marks))
    },
    destroy: () => view.destroy(),
  }
}
