import { type LiveState, liveState } from '../live'

const WORDS: Record<LiveState, string> = {
  off: 'not connected',
  connecting: 'connecting…',
  live: 'live',
  lost: 'connection lost, trying again…',
}

/** Whether the page hears of changes by itself at the moment. */
export function LiveMark() {
  const state = liveState.value
  return (
    <span class={`live ${state}`} role="status">
      <span aria-hidden="true" class="live-dot" />
      {WORDS[state]}
    </span>
  )
}
