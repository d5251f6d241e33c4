// What went wrong, and what to do about it: the only place where an error becomes words on the page.

import type { ApiError } from '../api'

export function ErrorNote({ error, loggingIn = false }: { error: ApiError; loggingIn?: boolean }) {
  if (loggingIn && error.status === 401) {
    return (
      <p class="note bad" role="alert">
        <strong>Wrong username or password.</strong>
      </p>
    )
  }
  const advice = adviceOn(error)
  return (
    <div class="note bad" role="alert">
      <p>
        <strong>{error.message}</strong>
      </p>
      {advice && <p>{advice}</p>}
      <p class="small">
        {error.status > 0 && <>HTTP {error.status} · </>}
        <code>{error.code}</code>
        {error.field && <> · field <code>{error.field}</code></>}
        {error.requestId && <> · request <code>{error.requestId}</code></>}
      </p>
    </div>
  )
}

function adviceOn(error: ApiError): string | undefined {
  switch (error.status) {
    case 401:
      return 'Log in again.'
    case 403:
      return 'Your role may not do this. Log in with one that may, for example admin.'
    case 409:
      return 'What you sent contradicts what is stored. Ask for one identifier at a time.'
    case 413:
      return 'Send the file in smaller parts.'
    case 415:
      return 'Choose the format that the text really has: JSON, NDJSON or CSV.'
    case 429:
      return 'Wait a moment, then try again.'
    case 503:
      return 'The server is busy or still starting. Try again in a few seconds.'
    default:
      return error.status >= 500 ? 'This is a fault of the server. Its log has the details.' : undefined
  }
}
