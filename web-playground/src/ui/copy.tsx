// A button that puts a text on the clipboard, and says so.

import { useSignal } from '@preact/signals'

/** How long the button says that it worked, in milliseconds. */
const SAID_MS = 1_600

export function CopyButton({ text, label }: { text: () => string; label: string }) {
  const said = useSignal<string | undefined>(undefined)
  const copy = async () => {
    said.value = (await toClipboard(text())) ? 'Copied' : 'Press Ctrl+C'
    setTimeout(() => (said.value = undefined), SAID_MS)
  }
  return (
    <button type="button" class="quiet copy" onClick={copy}>
      {/* Both texts hold their place, so that the button keeps its width. */}
      <span class={said.value ? 'away' : ''}>{label}</span>
      <span class={said.value ? '' : 'away'} role="status">
        {said.value}
      </span>
    </button>
  )
}

async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // The clipboard API is closed to pages that came over plain HTTP from another machine.
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  const copied = document.execCommand('copy')
  area.remove()
  return copied
}
