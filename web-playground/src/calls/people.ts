// Looking people up, searching them, and explaining why somebody is one person.

import { askGraphql, type Call, json } from '../api'
import { operation } from '../queries'
import type {
  Conflict,
  ConflictPage,
  Demographics,
  Erasure,
  FieldProvenance,
  IdentityGraph,
  InterestHits,
  Judged,
  Membership,
  MergePage,
  RawRow,
  SimilarUsers,
  Suggestions,
  Timeline,
  UserHits,
  UserProfile,
} from '../shapes'

export type By = 'cookie' | 'email'

export const lookUp = (by: By, value: string): Call<{ user_profile: UserProfile }> => ({
  method: 'GET',
  path: '/api/user',
  query: { [by]: value, include: 'identities,scores,provenance' },
  graphql: operation(by === 'email' ? 'profile_by_email' : 'profile_by_cookie', { [by]: value }),
})

/** Somebody of whom only the id is known, of today or from before a merge. */
export const profileById = (id: string): Call<{ profile: ProfileById | null }> =>
  askGraphql({ query: PROFILE_BY_ID, variables: { id } })

const PROFILE_BY_ID = `query ProfileById($id: ID!) {
  profile(id: $id) {
    id
    email
    cookie
    firstName
    lastName
    phoneNumber
    location {
      text
    }
    demographics {
      age
      gender
      education
      income
    }
    interests
    cohorts {
      cohort
      slug
      score
      reason
      since
    }
    identities {
      cookies {
        value
      }
      emails {
        value
      }
    }
  }
}
`

export interface ProfileById {
  id: string
  email: string | null
  cookie: string | null
  firstName: string | null
  lastName: string | null
  phoneNumber: string | null
  location: { text: string | null }
  demographics: Demographics
  interests: string[]
  cohorts: Membership[]
  identities: { cookies: { value: string }[]; emails: { value: string }[] }
}

/** The same as REST has it. */
export const userOf = (found: ProfileById): UserProfile => ({
  email: found.email,
  cookie: found.cookie,
  first_name: found.firstName,
  last_name: found.lastName,
  phone_number: found.phoneNumber,
  location: found.location.text,
  demographics: found.demographics,
  interests: found.interests,
  cohorts: found.cohorts.map(({ cohort }) => cohort),
  scores: found.cohorts,
  identities: {
    id: found.id,
    cookies: found.identities.cookies.map(({ value }) => ({ cookie: value })),
    emails: found.identities.emails.map(({ value }) => ({ email: value })),
  },
})

/** What people are searched for by; what is empty is not asked. */
export interface Question {
  q?: string
  cohort?: string
  city?: string
  country?: string
  interest?: string
}

export const searchUsers = (question: Question, limit: number, offset = 0): Call<UserHits> => {
  const asked = Object.fromEntries(
    Object.entries({ ...question, q: question.q?.trim() }).filter(([, value]) => value),
  ) as Record<string, string>
  return {
    method: 'GET',
    path: '/api/users/search',
    query: { ...asked, limit, ...(offset > 0 ? { offset } : {}) },
    // The operation in `queries/` knows no interest.
    ...(asked.interest ? {} : { graphql: operation('search_users', { ...asked, first: limit, offset }) }),
  }
}

export const suggest = (q: string): Call<Suggestions> => ({
  method: 'GET',
  path: '/api/search/suggest',
  query: { q },
  graphql: operation('suggest', { q }),
})

export const similarInterests = (interest: string, limit: number): Call<InterestHits> => ({
  method: 'GET',
  path: '/api/interests/similar',
  query: { interest, limit },
  graphql: operation('similar_interests', { interest, first: limit }),
})

export const similarUsers = (id: string, limit: number): Call<SimilarUsers> => ({
  method: 'GET',
  path: '/api/user/similar',
  query: { id, limit },
  graphql: operation('similar_users', { id, first: limit }),
})

/** The neighbours of many interests in one question, each under the name of its place in the list. */
export const neighboursOf = (interests: string[], each: number): Call<Record<string, { hits: { interest: string; similarity: number | null }[] }>> => {
  const names = interests.map((_, index) => `$i${index}: String!`).join(', ')
  const asked = interests.map(
    (_, index) => `  n${index}: similarInterests(interest: $i${index}, first: ${each}) { hits { interest similarity } }`,
  )
  return askGraphql({
    query: `query Neighbours(${names}) {\n${asked.join('\n')}\n}\n`,
    variables: Object.fromEntries(interests.map((interest, index) => [`i${index}`, interest])),
  })
}

const ofProfile = (id: string, what: string) => `/api/profiles/${encodeURIComponent(id)}/${what}`

export const identityGraph = (id: string): Call<IdentityGraph> => ({
  method: 'GET',
  path: ofProfile(id, 'graph'),
  graphql: operation('identity_graph', { id }),
})

export const provenance = (id: string): Call<{ fields: FieldProvenance[] }> => ({
  method: 'GET',
  path: ofProfile(id, 'provenance'),
  graphql: operation('provenance', { id }),
})

export const timeline = (id: string, limit: number, before?: string): Call<Timeline> => ({
  method: 'GET',
  path: ofProfile(id, 'timeline'),
  query: { limit, ...(before ? { before } : {}) },
  graphql: operation('timeline', { id, limit, ...(before ? { before } : {}) }),
})

export const rawRow = (id: string): Call<{ rawRow: RawRow | null }> =>
  askGraphql({
    query: 'query RawRow($id: String!) {\n  rawRow(id: $id) {\n    source\n    receivedAt\n    line\n    verbatim\n  }\n}\n',
    variables: { id },
  })

export const latestMerges = (limit: number): Call<MergePage> => ({
  method: 'GET',
  path: '/api/merges',
  query: { limit },
  graphql: operation('merges', { first: limit }),
})

export const undoMerge = (id: string): Call<Judged> => ({
  method: 'POST',
  path: `/api/merges/${encodeURIComponent(id)}/undo`,
  graphql: operation('undo_merge', { id }),
})

/** What guards refused, in the order of its times. */
export const conflicts = (verdict: Conflict['verdict'] | 'all', limit: number, after?: string): Call<ConflictPage> => ({
  method: 'GET',
  path: '/api/conflicts',
  query: { verdict, limit, ...(after ? { after } : {}) },
  graphql: operation('conflicts', { verdict, first: limit, ...(after ? { after } : {}) }),
})

export const reviewConflict = (id: string, action: 'allow' | 'keep_apart'): Call<Judged> => ({
  method: 'POST',
  path: `/api/conflicts/${encodeURIComponent(id)}/review`,
  ...json({ action }),
  graphql: operation('review_conflict', { id, action }),
})

/** Cuts the one link between a cookie and an address. */
export const cutLink = (profile: string, cookie: string, email: string): Call<Judged> => ({
  method: 'POST',
  path: ofProfile(profile, 'cut'),
  ...json({ cookie, email }),
  graphql: operation('cut', { profile, cookie, email }),
})

/** Forgets a person: all that was received of them, and all that was made of it. */
export const erase = (by: By, value: string, reason: string): Call<Erasure> => ({
  method: 'DELETE',
  path: '/api/user',
  query: { [by]: value, ...(reason ? { reason } : {}) },
  graphql: operation('erase_user', { [by]: value, ...(reason ? { reason } : {}) }),
})

/** How far that is. */
export const erasure = (id: string): Call<Erasure> => ({ method: 'GET', path: `/api/erasures/${encodeURIComponent(id)}` })
