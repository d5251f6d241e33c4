// A part of the page that is loaded when it is first looked at: what few people need, nobody else waits for.

import { useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { useEffect } from 'preact/hooks'

import { Empty } from './empty'

export function lazy(load: () => Promise<ComponentType>): ComponentType {
  return function Lazy() {
    // In an object of its own: a signal would call a function that it is given.
    const loaded = useSignal<{ View: ComponentType } | undefined>(undefined)
    const failed = useSignal(false)
    useEffect(() => {
      load().then(
        (View) => (loaded.value = { View }),
        () => (failed.value = true),
      )
    }, [])
    if (loaded.value) return <loaded.value.View />
    return (
      <div class="card">
        {failed.value ? (
          <Empty title="This part of the page did not come">The server may have been replaced by a newer one. Reload the page.</Empty>
        ) : (
          <Empty title="Loading…">This takes a moment.</Empty>
        )}
      </div>
    )
  }
}
