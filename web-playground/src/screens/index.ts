// The screens, in the order of the navigation. A new one is a file in this folder and an entry here.

import type { ComponentType } from 'preact'

import type { Permission } from '../permissions'
import { lazy } from '../ui/lazy'
import { Api } from './api'
import { Classify } from './classify'
import { Cohorts } from './cohorts'
import { Ingest } from './ingest'
import { Overview } from './overview'
import { People } from './people'
import { Simulator } from './simulator'
import { Webhooks } from './webhooks'

export interface Screen {
  id: string
  title: string
  intro: string
  /** Who has all of these sees it. */
  needs: Permission[]
  View: ComponentType
}

export const SCREENS: Screen[] = [
  {
    id: 'overview',
    title: 'Overview',
    intro: 'Who is known, what comes in, where people belong, and how good the data is.',
    needs: ['read'],
    View: Overview,
  },
  {
    id: 'people',
    title: 'People',
    intro: 'Start typing: any name, address, cookie, place or interest finds people, and each is one profile.',
    needs: ['read'],
    View: People,
  },
  {
    id: 'cohorts',
    title: 'Cohorts',
    intro: 'Who belongs together, and how many they are.',
    needs: ['read'],
    View: Cohorts,
  },
  {
    id: 'ingest',
    title: 'Ingest',
    intro: 'Send records from an app, a shop or an export. Good rows are stored; bad ones come back explained.',
    needs: ['ingest'],
    View: Ingest,
  },
  {
    id: 'classify',
    title: 'Classify',
    intro: 'Ask the language model which cohorts an interest belongs to and why, and correct it where it is wrong.',
    needs: ['classify'],
    View: Classify,
  },
  {
    id: 'simulator',
    title: 'Simulator',
    intro: 'A small shop in two browsers. Browse without a name, log in on both, and two visitors become one person.',
    needs: ['ingest', 'read'],
    View: Simulator,
  },
  {
    id: 'webhooks',
    title: 'Webhooks',
    intro: 'Who is told when people enter and leave cohorts, and what became of each message.',
    needs: ['activate'],
    View: Webhooks,
  },
  {
    id: 'administration',
    title: 'Administration',
    intro: 'Who may log in and who is, which keys send records, and who did what.',
    needs: ['administer'],
    View: lazy(() => import('./administration').then(({ Administration }) => Administration)),
  },
  {
    id: 'api',
    title: 'API',
    intro: 'All that this page does, you can do: by REST, by GraphQL, or with the requests that it just made.',
    needs: [],
    View: Api,
  },
]
