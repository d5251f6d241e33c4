// A question before something that cannot be taken back.

import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Stands over the page, keeps the keyboard inside, and closes on Escape: what `<dialog>` does by itself. */
export function Confirm(props: {
  title: string
  action: string
  busy?: boolean
  children: ComponentChildren
  onConfirm: () => void
  onCancel: () => void
}) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault()
        props.onCancel()
      }}
    >
      <h2 id="dialog-title">{props.title}</h2>
      {props.children}
      <div class="actions end">
        {/* The harmless one first: it has the focus when the question appears. */}
        <button type="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={props.busy} onClick={props.onConfirm}>
          {props.action}
        </button>
      </div>
    </dialog>
  )
}

/** What came of it, until it is closed. */
export function Told(props: { title: string; children: ComponentChildren; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="dialog" aria-label={props.title} onClose={props.onClose}>
      <h2>{props.title}</h2>
      {props.children}
      <div class="actions end">
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}
