// What guards refuse, in words.

import type { Conflict } from './shapes'

/** Why a guard said no, by its kind. */
const REASONS: Record<string, string> = {
  placeholder_cookie: 'No person’s cookie: it looks like what a program sends when it has none.',
  placeholder_email: 'No person’s address: it looks like what a form takes when somebody will not say.',
  too_many_cookies: 'More cookies with this address than one person has.',
  too_many_emails: 'More addresses with this cookie than one person has: a shared computer, perhaps.',
}

export const reasonOf = (kind: string): string => REASONS[kind] ?? kind.replaceAll('_', ' ')

/** Whether it is about a link, which can be judged, and not about a placeholder. */
export const isLink = ({ cookie, email }: Pick<Conflict, 'cookie' | 'email'>): boolean => Boolean(cookie && email)
