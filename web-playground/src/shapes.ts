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

/** A value that a row states. */
export interface Statement {
  value: unknown
  at?: string
  raw?: string
}

export interface Provenance extends Statement {
  field: string
  lost?: Statement[]
}

/** The same with what is known of the row. */
export interface SourcedStatement extends Statement {
  source?: string | null
  received_at?: string | null
  cookie?: string | null
}

export interface FieldProvenance {
  field: string
  survivor: SourcedStatement
  lost: SourcedStatement[]
}

export interface RawRow {
  source: string
  receivedAt: string
  line: number
  verbatim: string
}

export interface IdentityNode {
  kind: 'cookie' | 'email'
  value: string
  first_seen: string
  last_seen: string
  primary: boolean
}

export interface IdentityEdge {
  cookie: string
  email: string
  raw: string
  at: string
  source?: string | null
  policy: string
  ties: boolean
}

export interface Merge {
  id: string
  survivor: string
  absorbed: string
  cookies: string[]
  emails: string[]
  raw: string
  source?: string | null
  policy: string
  at: string
  undone_by?: string | null
  undone_at?: string | null
}

export interface Decision {
  id: string
  kind: string
  subject?: string | null
  profiles: string[]
  links: { cookie: string; email: string }[]
  by: string
  at: string
}

export interface IdentityGraph {
  id: string
  identifiers: IdentityNode[]
  edges: IdentityEdge[]
  cuts: { cookie: string; email: string; until?: string | null }[]
  merges: Merge[]
  decisions: Decision[]
}

export interface MergePage {
  merges: Merge[]
  next_cursor?: string | null
}

export interface Judged {
  profiles: string[]
  links: { cookie: string; email: string }[]
}

/** What of somebody is gone, and what is still looked for. */
export interface Erasure {
  id: string
  profile_id?: string | null
  erased: Record<string, number>
  looking_for?: string | null
  finished_at?: string | null
}

export interface TimelineEntry {
  kind: 'record' | 'merge' | 'undo' | 'cut' | 'allow' | 'keep_apart'
  cursor: string
  at: string
  record?: {
    raw: string
    cookie: string
    source: string
    batch_id: string
    received_at: string
    line: number
    verbatim: string
  } | null
  merge?: Merge | null
  decision?: Decision | null
}

export interface Timeline {
  entries: TimelineEntry[]
  next_cursor?: string | null
}

export interface UserProfile {
  id?: string
  first_name?: string | null
  last_name?: string | null
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
  examples?: string[]
  expression?: string | null
  threshold?: number | null
  version?: number
  size: number
}

/** A walk over everybody, whose memberships are made anew. */
export interface Backfill {
  id: string
  cause: string
  subject: string
  by: string
  progress: number
  changed: number
  started_at: string
  finished_at?: string | null
}

export interface Defined {
  cohort?: Cohort | null
  backfill: Backfill
}

export interface CohortVersion {
  version: number
  name: string
  description: string
  kind: string
  examples: string[]
  threshold?: number | null
  expression?: string | null
  by: string
  at: string
}

export interface Preview {
  examined: number
  matched: number
  undecided: number
  people: number
  estimate: number
  exact: boolean
  sample: UserProfile[]
}

export interface Combined {
  size: number
  expression: string
  sample: UserProfile[]
}

export interface Overlap {
  cohorts: string[]
  shared: number
  likeness: number
}

export interface Counts {
  people: number
  created: number
  changed: number
  merged: number
  entered: number
  left: number
  accepted: number
  rejected: number
  duplicates: number
  found: number
}

export interface CohortFigure {
  slug: string
  name: string
  size: number
  entered_day: number
  left_day: number
  entered_week: number
  left_week: number
}

export interface NamedCounts {
  name: string
  counts: Counts
}

export interface Summary {
  people: number
  merge_rate: number
  counts: Counts
  cohorts: CohortFigure[]
  sources: NamedCounts[]
  findings: NamedCounts[]
}

export interface SeriesPoint {
  at: string
  size: number
  counts: Counts
}

export interface FrequentInterest {
  interest: string
  people: number
}

export interface Correction {
  interest: string
  cohorts: string[]
  by: string
  at: string
}

export interface Reject {
  row: number
  line: number
  errors: RowError[]
  fields?: Record<string, unknown> | null
  verbatim: string
  replayed_at?: string | null
  replayed_by?: string | null
}

export interface Replay {
  status: 'success' | 'partial' | 'error'
  batch_id?: string | null
  records_processed: number
  records_rejected: number
  duplicates: number
  replayed_before: number
  undecodable: number
  errors: RowError[]
}

export interface FileReport {
  file: string
  parts: number
  records_processed: number
  records_rejected: number
  duplicates: number
  quality: Omit<BatchQuality, 'batch_id'>
}

export interface FileParts {
  parts: { first_row: number; batch_id: string; records_processed: number; records_rejected: number; duplicates: number }[]
  next_after?: number | null
}

export interface Webhook {
  id: string
  name: string
  url: string
  kinds: string[]
  cohorts: string[]
  fields: string[]
  purpose?: string | null
  state: 'active' | 'paused' | 'failing' | 'disabled'
  problem?: string | null
  lag: number
  delivered: number
  dead: number
  skipped: number
  lost_at?: string | null
}

export interface WebhookWithSecret {
  webhook: Webhook
  secret: string
}

export interface WebhookTest {
  delivered: boolean
  status?: number | null
  ms: number
  error?: string | null
}

export interface Delivery {
  number: number
  message_id: string
  state: 'delivered' | 'dead'
  status?: number | null
  attempts: number
  ms: number
  error?: string | null
  at: string
  change: { kind: string; profile_id: string; cohort?: { name: string } | null }
}

export interface Deliveries {
  deliveries: Delivery[]
  next_before?: number | null
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

/** Who may log in. */
export interface User {
  name: string
  role: Role
  disabled: boolean
  /** Comes with a demo, and stays as it is. */
  demo: boolean
  created_at?: string | null
  last_login_at?: string | null
}

/** A log-in that goes on. */
export interface LogInSession {
  id: string
  user: string
  address: string
  /** The one that asks. */
  current: boolean
  created_at: string
  renewed_at: string
  ends_at: string
}

export interface WriteKey {
  id: string
  kind: 'public' | 'server'
  source: string
  label: string
  /** How its text begins. */
  hint: string
  origins: string[]
  by: string
  created_at: string
  last_used_at?: string | null
  revoked_at?: string | null
}

export interface NewWriteKey {
  text: string
  write_key: WriteKey
}

export interface AuditEntry {
  at: string
  /** Empty where nobody was known. */
  caller: string
  role: string
  /** By which way it came: REST, GraphQL, a log-in. */
  door: string
  action: string
  subjects: { kind: string; value: string }[]
  status: number
  address: string
  request_id: string
}

export interface AuditPage {
  entries: AuditEntry[]
  next_until?: string | null
}

/** A link between a cookie and an address that a guard refused. */
export interface Conflict {
  id: string
  kind: string
  cookie?: string | null
  email?: string | null
  raw: string
  at: string
  source: string
  verdict: 'open' | 'allowed' | 'kept_apart'
  judged_by?: string | null
  judged_at?: string | null
}

export interface ConflictPage {
  conflicts: Conflict[]
  next_cursor?: string | null
}

/** The one shape of an error, whatever failed. */
export interface ErrorBody {
  error: { code: string; message: string; field?: string | null }
}
