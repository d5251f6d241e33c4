// How the columns of a payload will be read: a preview, made of its first rows. The names are those of the
// server (`src/ingest/fields.rs`), which reads the payload; a test compares the two.

import type { Format } from './payload'

export const FIELDS: Record<string, string[]> = {
  cookie: ['cookie_id', 'anonymous_id', 'visitor_id'],
  email: ['e_mail', 'email_address', 'e_mail_address', 'mail', 'e_mail_adresse', 'adresse_e_mail', 'courriel', 'correo', 'correo_electronico', 'correo_electrónico'],
  phone_number: ['phone', 'phone_no', 'telephone', 'telephone_number', 'mobile', 'mobile_number', 'mobile_phone', 'mobile_phone_number', 'cell', 'cell_phone', 'telefon', 'telefonnummer', 'handy', 'mobil', 'téléphone', 'teléfono', 'telefono', 'móvil'],
  first_name: ['given_name', 'forename', 'vorname', 'prénom', 'prenom', 'nombre'],
  last_name: ['family_name', 'surname', 'nachname', 'nom', 'apellido', 'apellidos'],
  'location.city': ['city', 'town', 'stadt', 'ort', 'ville', 'ciudad'],
  'location.state': ['state', 'region', 'province', 'state/region', 'state/province', 'bundesland', 'région', 'provincia'],
  'location.country': ['country', 'country/region', 'land', 'pays', 'país', 'pais'],
  'demographics.age': ['age', 'alter', 'âge', 'edad'],
  'demographics.gender': ['gender', 'sex', 'geschlecht', 'sexe', 'sexo', 'género', 'genero'],
  'demographics.education': ['education'],
  'demographics.income': ['income', 'einkommen'],
  interests: ['interest'],
  timestamp: ['time', 'event_time', 'event_timestamp', 'occurred_at', 'datetime'],
  message_id: [],
  properties: ['traits', 'custom_attributes'],
  consent: ['consents'],
}

/** `location` is one text, or an object of its parts. */
export const TARGETS = [...Object.keys(FIELDS), 'location']

/** Groups of which each part has a name of its own. */
const OPEN_GROUPS = ['properties.', 'consent.']

const bare = (name: string) => name.trim().toLowerCase().replace(/[ -]/g, '_').replaceAll('_', '')

const CANONICAL = new Map(
  Object.entries(FIELDS).flatMap(([field, others]) => [field, ...others].map((name): [string, string] => [bare(name), field])),
)

/** The field that a column is read as; none for one that stays in the row and means nothing. */
export function fieldOf(column: string): string | undefined {
  const folded = column.trim().toLowerCase().replace(/[ -]/g, '_')
  const found = CANONICAL.get(bare(column))
  if (found) return found
  if (folded === 'location' || OPEN_GROUPS.some((group) => folded.startsWith(group))) return folded
  const [group, ...part] = folded.split('.')
  const inGroup = part.length > 0 ? CANONICAL.get(bare(part.join('.'))) : undefined
  return inGroup?.startsWith(`${group}.`) ? inGroup : undefined
}

export interface Column {
  name: string
  field: string | undefined
  samples: string[]
}

/** Rows of which values are shown. */
const SAMPLE_ROWS = 3

/** The columns of a text that may end anywhere. */
export function columnsOf(text: string, format: Format): Column[] {
  const rows = format === 'csv' ? csvSample(text) : jsonSample(text, format)
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return names.map((name) => ({
    name,
    field: fieldOf(name),
    samples: rows.map((row) => row[name] ?? '').filter(Boolean).slice(0, SAMPLE_ROWS),
  }))
}

function csvSample(text: string): Record<string, string>[] {
  const [header = '', ...rest] = csvLines(text, SAMPLE_ROWS + 1)
  const separator = [',', ';', '\t', '|'].reduce((best, one) => (countOf(header, one) > countOf(header, best) ? one : best))
  const names = csvValues(header, separator)
  const rows = rest.map((line) => {
    const values = csvValues(line, separator)
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
  })
  return rows.length > 0 ? rows : [Object.fromEntries(names.map((name) => [name, '']))]
}

const countOf = (text: string, what: string) => text.split(what).length - 1

/** The first rows, each of which may reach over lines inside quotes. */
function csvLines(text: string, max: number): string[] {
  const rows: string[] = []
  let row = ''
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    row = row === '' ? line : `${row}\n${line}`
    if (countOf(row, '"') % 2 === 1) continue
    if (row.trim() !== '') rows.push(row)
    row = ''
    if (rows.length >= max) break
  }
  return rows
}

function csvValues(line: string, separator: string): string[] {
  const values: string[] = []
  let value = ''
  let isQuoted = false
  for (const [at, sign] of [...line].entries()) {
    if (sign === '"') {
      if (!isQuoted && line[at - 1] === '"' && value !== '') value += '"'
      isQuoted = !isQuoted
    } else if (sign === separator && !isQuoted) {
      values.push(value.trim())
      value = ''
    } else value += sign
  }
  return [...values, value.trim()]
}

function jsonSample(text: string, format: Format): Record<string, string>[] {
  const objects = format === 'ndjson' ? text.split('\n').slice(0, SAMPLE_ROWS).map(parsed) : firstElements(text)
  return objects.filter((one) => one !== undefined).map((one) => flat(one))
}

function firstElements(text: string): unknown[] {
  const whole = parsed(text)
  if (whole !== undefined) {
    const inner = Array.isArray(whole) ? whole : ((whole as { data?: unknown }).data ?? whole)
    return [inner].flat().slice(0, SAMPLE_ROWS)
  }
  // The beginning of a long list: its first element, as far as it goes.
  const begin = text.indexOf('{')
  for (let end = text.indexOf('}', begin); end > 0; end = text.indexOf('}', end + 1)) {
    const first = parsed(text.slice(begin, end + 1))
    if (first !== undefined) return [first]
  }
  return []
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function flat(value: unknown, before = ''): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  return Object.entries(value).reduce<Record<string, string>>((all, [key, inner]) => {
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) return { ...all, ...flat(inner, `${before}${key}.`) }
    return { ...all, [before + key]: Array.isArray(inner) ? inner.join('; ') : String(inner ?? '') }
  }, {})
}
