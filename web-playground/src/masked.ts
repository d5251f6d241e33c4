// Values of which a role sees only the outline (docs/PRIVACY.md): they are shown, and nobody is found by them.

import type { UserProfile } from './shapes'

const OUTLINE = /^(.{0,2}\*\*\*|.?\*\*\*@.?\*\*\*(\..+)?)$/u

export const isMasked = (value: string | null | undefined): boolean => OUTLINE.test(value ?? '')

export const isAnyMasked = (people: UserProfile[]): boolean =>
  people.some(({ email, cookie }) => isMasked(email) || isMasked(cookie))

/** What leads to a person: an address or a cookie that is shown whole, else their id. */
export function keyOf(user: UserProfile, id = user.identities?.id): Record<string, string> | undefined {
  if (user.email && !isMasked(user.email)) return { email: user.email }
  if (!user.email && user.cookie && !isMasked(user.cookie)) return { cookie: user.cookie }
  return id ? { id } : undefined
}
