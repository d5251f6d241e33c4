// What a rule may speak of, for completion, and where in it something is wrong. The server has the last word:
// it checks each rule.

export interface Word {
  label: string
  /** What it is, in a few words. */
  says: string
  /** What is written when it is chosen, if not the label. */
  apply?: string
}

export const FIELDS: Word[] = [
  { label: 'profile.id', says: 'the id' },
  { label: 'profile.email', says: 'the primary address' },
  { label: 'profile.emails', says: 'how many addresses' },
  { label: 'profile.cookie', says: 'the primary cookie' },
  { label: 'profile.cookies', says: 'how many cookies' },
  { label: 'profile.first_name', says: 'text' },
  { label: 'profile.last_name', says: 'text' },
  { label: 'profile.phone_number', says: 'text, such as +15551234567' },
  { label: 'profile.age', says: 'whole years' },
  { label: 'profile.gender', says: 'text, such as Female' },
  { label: 'profile.education', says: "text, such as Bachelor's Degree" },
  { label: 'profile.income', says: 'text, such as $50,000 - $75,000' },
  { label: 'profile.location.city', says: 'text' },
  { label: 'profile.location.state', says: 'text' },
  { label: 'profile.location.country', says: 'text, such as USA' },
  { label: 'profile.first_seen', says: 'time' },
  { label: 'profile.last_seen', says: 'time' },
  { label: 'profile.created_at', says: 'time' },
  { label: 'profile.visits', says: 'in how many hours they were seen' },
  { label: 'profile.sources', says: 'list of who sent something' },
  { label: 'profile.properties.', says: 'what your own system says, by name' },
  { label: 'profile.consent.', says: 'true or false, by purpose' },
  { label: 'interests', says: 'list of what they like' },
  { label: 'cohorts', says: 'list of the cohorts they are in' },
]

export const FUNCTIONS: Word[] = [
  { label: 'within', says: 'happened, not longer ago than that', apply: 'within("30d")' },
  { label: 'upcoming', says: 'is to happen within that', apply: 'upcoming("7d")' },
  { label: 'days_since', says: 'whole days since a time', apply: 'days_since()' },
  { label: 'anniversary', says: 'its day or month is now, in any year', apply: 'anniversary("month")' },
  { label: 'visits_within', says: 'how many visits since', apply: 'visits_within("30d")' },
  { label: 'has', says: 'whether it is known', apply: 'has()' },
  { label: 'size', says: 'how many, or how long', apply: 'size()' },
  { label: 'startsWith', says: 'text begins with', apply: 'startsWith("")' },
  { label: 'contains', says: 'text has within', apply: 'contains("")' },
  { label: 'exists', says: 'one of a list is so', apply: 'exists(i, i == "")' },
  { label: 'all', says: 'each of a list is so', apply: 'all(i, i == "")' },
  { label: 'matches', says: 'text fits a pattern', apply: 'matches("")' },
]

export const EXAMPLES: { title: string; expression: string }[] = [
  { title: 'Young sports fans', expression: 'profile.age < 30 && "Sports" in cohorts' },
  { title: 'Came back lately', expression: 'profile.last_seen.within("30d") && visits_within("90d") >= 3' },
  { title: 'Reachable by mail', expression: 'has(profile.email)' },
  { title: 'Loves music for sure', expression: 'scores["Music"] > 0.9' },
  { title: 'In New York', expression: 'profile.location.city in ["New York", "Brooklyn"]' },
]

export interface Completion {
  from: number
  words: Word[]
}

/** What may stand where the text ends, and from where on it takes the place of what is typed. */
export function completionsAt(before: string, cohorts: string[]): Completion | undefined {
  const inQuotes = openQuote(before)
  if (inQuotes !== undefined) {
    // A quoted text is the name of a cohort before `in cohorts`, and in `scores[…]`.
    const words = cohorts.map((name) => ({ label: name, says: 'cohort' }))
    return { from: inQuotes + 1, words }
  }
  const typed = /[\w.]*$/.exec(before)?.[0] ?? ''
  if (typed === '') return undefined
  const method = /^(.+\.)(\w*)$/.exec(typed)
  const fields = FIELDS.filter(({ label }) => label.startsWith(typed))
  if (method && fields.length === 0) return { from: before.length - (method[2] ?? '').length, words: FUNCTIONS }
  const scores: Word = { label: 'scores', says: 'how surely they are in a cohort, 0 to 1', apply: 'scores[""]' }
  return { from: before.length - typed.length, words: [...FIELDS, scores, ...FUNCTIONS] }
}

/** Where the quote begins that is still open, if one is. */
function openQuote(before: string): number | undefined {
  let open: number | undefined
  for (let at = 0; at < before.length; at++) {
    if (before[at] === '\\') at++
    else if (before[at] === '"') open = open === undefined ? at : undefined
  }
  return open
}

export interface Fault {
  from: number
  to: number
  message: string
}

/** `line 1, column 8: …` as a place in the text. Columns count from 1. */
export function faultOf(message: string, text: string): Fault {
  const found = /^line (\d+), column (\d+): (.*)$/s.exec(message)
  if (!found) return { from: 0, to: text.length, message }
  const [line, column] = [Number(found[1]), Number(found[2])]
  const before = text.split('\n').slice(0, line - 1)
  const from = Math.min(before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1, text.length)
  const word = /^[\w."[\]]+/.exec(text.slice(from))?.[0].length ?? 1
  return { from, to: Math.min(from + word, text.length), message: found[3] ?? message }
}
