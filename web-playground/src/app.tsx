// The shell: header, navigation, and the screen that the address names.

import { useEffect, useRef } from 'preact/hooks'

import { mayAll, rolesThatMay } from './permissions'
import { route, linkTo } from './route'
import { SCREENS, type Screen } from './screens'
import { session } from './session'
import type { Role } from './shapes'
import { Empty } from './ui/empty'
import { Header } from './ui/header'
import { LogIn } from './ui/log-in'

export function App() {
  const who = session.value
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          // The address is the screen's; only the focus moves.
          event.preventDefault()
          document.querySelector<HTMLElement>('main')?.focus()
        }}
      >
        Skip to the content
      </a>
      <Header page="playground" />
      {who ? (
        <Screens role={who.role} />
      ) : (
        <main class="centred">
          <LogIn>
            <p>
              Send customer records, see them become one profile per person, browse cohorts, and ask the classifier
              what an interest is about.
            </p>
          </LogIn>
        </main>
      )}
      <footer class="footer">
        <nav aria-label="Developer pages">
          <a href="/docs">API reference</a>
          <a href="/graphiql">GraphiQL</a>
          <a href="/openapi.json">openapi.json</a>
        </nav>
      </footer>
    </>
  )
}

function Screens({ role }: { role: Role }) {
  const allowed = SCREENS.filter((screen) => mayAll(role, screen.needs))
  const current = SCREENS.find((screen) => screen.id === route.value.screen) ?? allowed[0] ?? SCREENS[0]
  // A screen stays in the page once seen, so that coming back finds what was there.
  const seen = useRef(new Set<string>())
  if (!current) return null
  seen.current.add(current.id)
  return (
    <>
      <nav class="tabs" aria-label="Screens">
        {allowed.map((screen) => (
          <Tab key={screen.id} screen={screen} isCurrent={screen === current} />
        ))}
      </nav>
      <main tabIndex={-1}>
        {SCREENS.filter((screen) => seen.current.has(screen.id)).map((screen) => (
          <div key={screen.id} class="screen" hidden={screen !== current}>
            <h1>{screen.title}</h1>
            <p class="intro">{screen.intro}</p>
            {mayAll(role, screen.needs) ? <screen.View /> : <NotForRole role={role} screen={screen} />}
          </div>
        ))}
      </main>
    </>
  )
}

function Tab({ screen, isCurrent }: { screen: Screen; isCurrent: boolean }) {
  const link = useRef<HTMLAnchorElement>(null)
  // On a phone there are more tabs than fit.
  useEffect(() => {
    if (isCurrent) link.current?.scrollIntoView({ inline: 'center', block: 'nearest' })
  }, [isCurrent])
  return (
    <a ref={link} href={linkTo(screen.id)} aria-current={isCurrent ? 'page' : undefined}>
      {screen.title}
    </a>
  )
}

function NotForRole({ role, screen }: { role: Role; screen: Screen }) {
  const roles = rolesThatMay(screen.needs).join(' or ')
  return (
    <div class="card">
      <Empty title="Not with this account">
        You are logged in as {role}. Log out, and log in as {roles} to use this screen.
      </Empty>
    </div>
  )
}
