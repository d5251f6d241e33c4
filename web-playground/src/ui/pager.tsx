import type { ComponentChildren } from 'preact'

interface Props {
  /** Goes to the page before; none where this is the first, or none may be asked for now. */
  previous: (() => void) | undefined
  /** The same of the page behind. */
  next: (() => void) | undefined
  /** Which page this is. */
  children?: ComponentChildren
}

/** Leads from page to page. */
export function Pager({ previous, next, children }: Props) {
  return (
    <div class="pager">
      <button type="button" disabled={!previous} onClick={previous}>
        Previous
      </button>
      {children}
      <button type="button" disabled={!next} onClick={next}>
        Next
      </button>
    </div>
  )
}
