// The address of a screen: `#/people?email=…`. It stays in the browser, so what is looked up is not logged.

import { signal } from '@preact/signals'

export interface Route {
  screen: string
  params: URLSearchParams
}

export const route = signal<Route>(parse(location.hash))
addEventListener('hashchange', () => (route.value = parse(location.hash)))

/** A link leads to the top of what it opens; the way back leads to where one was, as browsers have it. */
addEventListener('click', (event) => {
  const link = (event.target as Element | null)?.closest?.('a[href^="#/"]')
  if (link) requestAnimationFrame(() => scrollTo(0, 0))
})

export function parse(hash: string): Route {
  const [screen = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2)
  return { screen, params: new URLSearchParams(query) }
}

export function linkTo(screen: string, params: Record<string, string> = {}): string {
  const query = new URLSearchParams(params).toString()
  return `#/${screen}${query ? `?${query}` : ''}`
}
