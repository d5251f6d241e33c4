// GraphiQL's page: a log-in first, since the schema too is shown only to who may read it; then the editor,
// which is loaded only now.

import '../style.css'

import { render } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { session } from '../session'
import { Header } from '../ui/header'
import { LogIn } from '../ui/log-in'

function Page() {
  return (
    <>
      <Header page="graphiql" />
      {session.value ? (
        <Editor />
      ) : (
        <main class="centred">
          <LogIn>
            <p>Log in to read the schema and to run queries. Your token goes with every request.</p>
          </LogIn>
        </main>
      )}
    </>
  )
}

/** The place where GraphiQL, which is written for React, lives by itself. */
function Editor() {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    let unmount: (() => void) | undefined
    let gone = false
    void import('./editor').then(({ mountEditor }) => {
      if (place.current && !gone) unmount = mountEditor(place.current)
    })
    return () => {
      gone = true
      unmount?.()
    }
  }, [])
  return (
    <main class="graphiql-main" key="editor">
      <h1 class="visually-hidden">GraphiQL</h1>
      <div class="graphiql-place" ref={place} />
    </main>
  )
}

const root = document.getElementById('app')
if (root) render(<Page />, root)
