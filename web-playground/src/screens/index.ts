// The screens, in the order of the navigation. A new one is a file in this folder and an entry here.

import type { ComponentType } from 'preact'

import type { Permission } from '../permissions'
import { Classify } from './classify'
import { Cohorts } from './cohorts'
import { Ingest } from './ingest'
import { People } from './people'
import { Search } from './search'

export interface Screen {
  id: string
  title: string
  intro: string
  permission: Permission
  View: ComponentType
}

export const SCREENS: Screen[] = [
  {
    id: 'ingest',
    title: 'Ingest',
    intro: 'Send records from an app, a shop or an export. Good rows are stored; bad ones come back explained.',
    permission: 'ingest',
    View: Ingest,
  },
  {
    id: 'people',
    title: 'People',
    intro: 'Any cookie or email of a person finds the one profile that unites them.',
    permission: 'read',
    View: People,
  },
  {
    id: 'search',
    title: 'Search',
    intro: 'Start typing a name, an address, a place or an interest. Typos are forgiven.',
    permission: 'read',
    View: Search,
  },
  {
    id: 'cohorts',
    title: 'Cohorts',
    intro: 'Who belongs together, and how many they are.',
    permission: 'read',
    View: Cohorts,
  },
  {
    id: 'classify',
    title: 'Classify',
    intro: 'Ask the language model which cohorts an interest belongs to. Nothing is stored.',
    permission: 'classify',
    View: Classify,
  },
]
