// The bar at the top of both pages: what this is, where the API is, who is logged in.

import mark from '../mark.svg'
import { logOut, session } from '../session'

export function Header({ page }: { page: 'playground' | 'graphiql' }) {
  const who = session.value
  return (
    <header class="header">
      <a class="brand" href="/">
        <img src={mark} alt="" width="28" height="28" />
        <span>
          <span class="brand-long">Customer Data Platform</span>
          <span class="brand-short">CDP</span>
        </span>
      </a>
      <nav class="header-links" aria-label="API">
        {page === 'graphiql' && <a href="/">Playground</a>}
        <a href="/docs">API reference</a>
        <a href="/graphiql" aria-current={page === 'graphiql' ? 'page' : undefined}>
          GraphiQL
        </a>
        <a href="/openapi.json" class="wide-only">
          openapi.json
        </a>
      </nav>
      {who && (
        <div class="who">
          <span class="badge" title={`Logged in as ${who.username}`}>
            {who.role}
          </span>
          <button type="button" class="quiet" onClick={() => logOut()}>
            Log out
          </button>
        </div>
      )}
    </header>
  )
}
