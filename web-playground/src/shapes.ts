// What the server answers. A key that not every answer carries is optional here, so that the compiler
// asks each screen what it shows without it.

export type Role = 'viewer' | 'analyst' | 'ingest' | 'admin'

export interface Token {
  access_token: string
  token_type: string
  expires_in: number
  role: Role
  scope: string
  refresh_token: string
  refresh_expires_in: number
}

export interface RowError {
  row?: number | null
  line?: number | null
  field?: string | null
  code: string
  message: string
}

export interface IngestReport {
  status: 'success' | 'partial' | 'error'
  records_processed: number
  errors?: RowError[]
  batch_id?: string
  records_rejected?: number
  duplicates?: number
  warnings?: number
}

export interface FieldQuality {
  field: string
  filled: number
  invalid: number
  repaired: number
  dropped: number
}

export interface BatchQuality {
  batch_id: string
  rows: number
  rejected: number
  duplicates: number
  warnings: number
  fields: FieldQuality[]
  findings: { field: string; code: string; count: number }[]
  bad_values: { field: string; code: string; value: string; count: number }[]
  bad_values_missed: number
}

export interface Demographics {
  age?: number | null
  gender?: string | null
  education?: string | null
  income?: string | number | null
}

export interface Seen {
  first_seen?: string
  last_seen?: string
}

export interface Identities {
  id: string
  primary_key?: string
  cookies?: (Seen & { cookie: string })[]
  emails?: (Seen & { email: string })[]
}

export interface Membership {
  cohort: string
  slug?: string
  score?: number | null
  reason?: unknown
  since?: string
}

export interface Provenance {
  field: string
  value: unknown
  at?: string
  source?: string | null
  raw?: string
}

export interface UserProfile {
  id?: string
  cookie?: string | null
  email?: string | null
  phone_number?: string | null
  location?: string | null
  demographics?: Demographics | null
  interests?: string[]
  cohorts?: string[]
  identities?: Identities
  scores?: Membership[]
  provenance?: Provenance[]
}

export interface Cohort {
  slug: string
  name: string
  description?: string | null
  kind?: string
  threshold?: number | null
  size: number
}

export interface CohortPage {
  cohort: string
  total: number
  limit: number
  offset: number
  users: (UserProfile | { user_profile: UserProfile })[]
  next_cursor?: string | null
}

export interface UserHit {
  id: string
  score: number
  user_profile: UserProfile
}

export interface FacetValue {
  value: string
  name: string
  count: number
}

export interface UserHits {
  total: number
  limit: number
  offset: number
  users: UserHit[]
  facets: { cohorts: FacetValue[]; cities: FacetValue[]; countries: FacetValue[] }
  next_offset?: number | null
  lenient: boolean
  complete: boolean
}

export interface InterestHit {
  interest: string
  users: number
  cohorts: string[]
  similarity?: number | null
}

export interface InterestHits {
  interests: InterestHit[]
  complete: boolean
}

export interface Suggestions extends InterestHits {
  users: UserHit[]
}

export interface SimilarUsers {
  users: (UserHit & { shared_interests: string[] })[]
  complete: boolean
}

export interface Classification {
  text: string
  normalised?: string
  repaired?: string | boolean | null
  cohorts?: string[]
  scores?: { cohort: string; slug?: string; score: number }[]
  nearest?: { term: string; cohort: string; similarity: number }[]
}

/** The one shape of an error, whatever failed. */
export interface ErrorBody {
  error: { code: string; message: string; field?: string | null }
}
