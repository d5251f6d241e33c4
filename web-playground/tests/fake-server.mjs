// A stand-in for the server, so that the page can be worked on, and its story tested, without a Rust build:
// `npm run build && npm run fake`, then open it, or `npm run dev` beside it. It keeps nothing, knows four
// accounts, forty people and the shapes of the answers, and sends the same security headers as the server.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

import { buildSchema, graphql } from 'graphql'

const PORT = Number(process.env.PORT ?? 8080)
const DIST = new URL('../dist/', import.meta.url)
const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', ttf: 'font/ttf' }
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; " +
    "form-action 'self'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
}
const NOW = '2025-06-01T12:00:00Z'
const TERMS = {
  Sports: ['cricket', 'football', 'tom brady', 'golf'],
  Fashion: ['nike shoes', 'fashion week'],
  Finance: ['bitcoin', 'index funds'],
  Technology: ['rust', 'laptops'],
  Travel: ['city breaks', 'hiking in norway'],
}
const slug = (name) => name.toLowerCase()
const cohortOf = (term) => Object.keys(TERMS).find((name) => TERMS[name].includes(term))

const people = new Map()
for (let n = 1; n <= 40; n++) {
  const names = Object.keys(TERMS)
  const interests = [TERMS[names[n % 5]][0], ...(n % 2 ? ['golf'] : []), ...(n % 3 ? ['laptops'] : [])]
  store({ cookie: `cookie-${String(n).padStart(4, '0')}`, email: `person${n}@example.com`, age: 20 + n, city: 'Austin', interests })
}

function store({ cookie, email, interests = [], age, gender, city, state, country, location, demographics }) {
  const key = email ?? cookie
  const known = people.get(key) ?? { id: `p${people.size + 1}`, cookies: new Set(), interests: new Set(), demographics: {} }
  if (cookie) known.cookies.add(cookie)
  if (email) known.email = email
  interests.forEach((interest) => known.interests.add(interest))
  const place = location ?? { city, state, country }
  known.location = [place.city, place.state, place.country].filter(Boolean).join(', ') || known.location
  Object.assign(known.demographics, demographics ?? { age: Number(age), gender })
  people.set(key, known)
  if (cookie) people.set(cookie, known)
}

function profileOf(person, detailed) {
  const interests = [...person.interests]
  const cookies = [...person.cookies]
  const scores = [...new Set(interests.map(cohortOf).filter(Boolean))].map((cohort) => ({
    cohort,
    slug: slug(cohort),
    score: 0.91,
    reason: interests.filter((interest) => cohortOf(interest) === cohort),
    since: NOW,
  }))
  const seen = { first_seen: NOW, last_seen: NOW }
  return {
    id: person.id,
    cookie: cookies[0],
    email: person.email ?? null,
    location: person.location,
    demographics: person.demographics,
    interests,
    cohorts: scores.map((score) => score.cohort),
    ...(detailed && {
      identities: {
        id: person.id,
        primary_key: person.email ?? cookies[0],
        cookies: cookies.map((cookie) => ({ cookie, ...seen })),
        emails: person.email ? [{ email: person.email, ...seen }] : [],
      },
      scores,
      provenance: [
        { field: 'location.city', value: person.location?.split(',')[0], at: NOW, source: 'web', raw: '01JZ5T-3' },
        { field: 'demographics.age', value: person.demographics.age, at: NOW, raw: '01JZ5T-3' },
      ],
    }),
  }
}

const distinct = () => [...new Set(people.values())]
const members = (name) => distinct().filter((person) => [...person.interests].some((i) => cohortOf(i) === name))
const cohorts = () =>
  Object.keys(TERMS).map((name) => ({
    slug: slug(name),
    name,
    description: `People who like ${TERMS[name].join(', ')}.`,
    kind: 'interest',
    threshold: 0.5,
    size: members(name).length,
  }))

class Refusal extends Error {
  constructor(status, code, message, field) {
    super(message)
    Object.assign(this, { status, code, field })
  }
}

function ingest(body, type) {
  let rows
  if (type === 'text/csv') {
    const [header, ...lines] = body.trim().split('\n')
    const names = header.split(',')
    rows = lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [names[i], cell.replaceAll('"', '')])))
    rows.forEach((row) => (row.interests = row.interests?.split(';')))
  } else if (type === 'application/x-ndjson') {
    rows = body.trim().split('\n').map((line) => JSON.parse(line))
  } else {
    try {
      const json = JSON.parse(body)
      rows = [json.data ?? json].flat()
    } catch (error) {
      throw new Refusal(400, 'unparseable', `not JSON: ${error.message}`)
    }
  }
  const errors = []
  rows.forEach((row, index) => {
    const at = { row: index + 1, line: type === 'application/json' ? undefined : index + (type === 'text/csv' ? 2 : 1) }
    const age = row.age ?? row.demographics?.age
    if (!row.cookie) errors.push({ ...at, field: 'cookie', code: 'missing', message: 'a record needs a cookie' })
    else if (age && !(age >= 0 && age <= 130))
      errors.push({ ...at, field: 'demographics.age', code: 'out_of_range', message: `age ${age} is not between 0 and 130` })
    else store(row)
  })
  const good = rows.length - errors.length
  const status = errors.length === 0 ? 'success' : good > 0 ? 'partial' : 'error'
  const report = { status, records_processed: good, errors, batch_id: '01JZ5T8Q6W', records_rejected: errors.length, duplicates: 0 }
  return [good > 0 ? 200 : 422, report]
}

let last = { batch_id: undefined, records_processed: 0, errors: [] }
let batches = 0
function rememberBatch([status, report]) {
  last = { ...report, batch_id: `01JZ5T8Q6W${++batches}` }
  return [status, last]
}

function classify(text) {
  const normalised = text.toLowerCase()
  const repaired = normalised === 'crcket' ? 'cricket' : null
  const cohort = cohortOf(repaired ?? normalised)
  const scores = Object.keys(TERMS)
    .map((name, index) => ({ cohort: name, slug: slug(name), score: name === cohort ? 0.93 : 0.11 - index / 50 }))
    .sort((a, b) => b.score - a.score)
  const nearest = cohort ? TERMS[cohort].map((term) => ({ term, cohort, similarity: 0.8 })) : []
  return { text, normalised, repaired, cohorts: cohort ? [cohort] : [], scores, nearest }
}

function quality(batch_id, report) {
  const bad = report.errors.length
  const fields = [
    { field: 'cookie', filled: report.records_processed + bad, invalid: 0, repaired: 0, dropped: 0 },
    { field: 'demographics.age', filled: report.records_processed + bad, invalid: bad, repaired: 0, dropped: 0 },
  ]
  const found = { field: 'demographics.age', code: 'out_of_range', count: bad }
  return {
    batch_id,
    rows: report.records_processed + bad,
    rejected: bad,
    duplicates: 0,
    warnings: 0,
    fields,
    findings: bad ? [found] : [],
    bad_values: bad ? [{ ...found, value: '430' }] : [],
    bad_values_missed: 0,
  }
}

/** How many have each value, the most frequent first. */
function counted(found, valuesOf) {
  const counts = new Map()
  for (const person of found) for (const value of valuesOf(person)) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].map(([name, count]) => ({ value: name, name, count })).sort((a, b) => b.count - a.count)
}

function search(query) {
  const cityOf = (person) => person.location?.split(',')[0]
  const cohortsOf = (person) => profileOf(person, false).cohorts
  const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  const found = distinct().filter((person) => {
    const text = [person.email, ...person.cookies, ...person.interests, person.location].join(' ').toLowerCase()
    return (
      words.every((word) => text.includes(word)) &&
      (!query.has('cohort') || cohortsOf(person).includes(query.get('cohort'))) &&
      (!query.has('city') || cityOf(person) === query.get('city')) &&
      (!query.has('interest') || person.interests.has(query.get('interest')))
    )
  })
  const [limit, offset] = [Number(query.get('limit') ?? 20), Number(query.get('offset') ?? 0)]
  return {
    total: found.length,
    limit,
    offset,
    users: found.slice(offset, offset + limit).map((person) => ({ id: person.id, score: 1, user_profile: profileOf(person) })),
    facets: {
      cohorts: counted(found, cohortsOf),
      cities: counted(found, (person) => [cityOf(person)].filter(Boolean)),
      countries: [],
    },
    next_offset: offset + limit < found.length ? offset + limit : null,
    lenient: false,
    complete: true,
  }
}

function interestsWith(q) {
  const all = counted(distinct(), (person) => [...person.interests])
  const found = all.filter(({ name }) => q && name.includes(q.toLowerCase()))
  return found.map(({ name, count }) => ({ interest: name, users: count, cohorts: [cohortOf(name)].filter(Boolean) }))
}

function similarTo(id) {
  const somebody = distinct().find((person) => person.id === id)
  const shared = (person) => [...person.interests].filter((interest) => somebody.interests.has(interest))
  const alike = distinct().filter((person) => person !== somebody && shared(person).length > 0)
  return alike
    .map((person) => ({
      id: person.id,
      score: shared(person).length / somebody.interests.size,
      shared_interests: shared(person),
      user_profile: profileOf(person),
    }))
    .sort((a, b) => b.score - a.score)
}

const schema = buildSchema('type Cohort { name: String! size: Int! } type Query { cohorts: [Cohort!]! }')

const tokensOf = (username) => ({
  access_token: `fake.${username}`,
  token_type: 'Bearer',
  expires_in: 900,
  role: username,
  scope: 'profiles:read',
  refresh_token: `cdpr.${username}.${Math.random()}`,
  refresh_expires_in: 604800,
})

async function answer(request, url, body) {
  const query = url.searchParams
  const type = request.headers['content-type']
  const route = `${request.method} ${url.pathname}`
  if (route === 'POST /api/auth/token') {
    const { username, password } = JSON.parse(body)
    if (password !== `demo-${username}`) throw new Refusal(401, 'unauthorized', 'unknown user or wrong password')
    return [200, tokensOf(username)]
  }
  if (route === 'POST /api/auth/refresh') {
    const [, username] = JSON.parse(body).refresh_token.split('.')
    return [200, tokensOf(username)]
  }
  if (route === 'POST /api/auth/revoke') return [200, {}]
  if (!request.headers.authorization?.startsWith('Bearer fake.')) throw new Refusal(401, 'unauthorized', 'log in first')
  switch (route) {
    case 'POST /api/ingest':
      return rememberBatch(ingest(body, type))
    case `GET /api/ingest/${last.batch_id}/quality`:
      return [200, quality(last.batch_id, last)]
    case 'GET /api/user': {
      const person = people.get(query.get('email') ?? query.get('cookie'))
      if (!person) throw new Refusal(404, 'not_found', 'nobody is known by this')
      return [200, { user_profile: profileOf(person, query.has('include')) }]
    }
    case 'GET /api/users/search':
      return [200, search(query)]
    case 'GET /api/search/suggest':
      return [200, { interests: interestsWith(query.get('q')).slice(0, 5), users: [], complete: true }]
    case 'GET /api/interests/similar': {
      const cohort = cohortOf(query.get('interest'))
      const near = (TERMS[cohort] ?? []).filter((term) => term !== query.get('interest')).flatMap(interestsWith)
      return [200, { interests: near.map((hit) => ({ ...hit, similarity: 0.6 })), complete: true }]
    }
    case 'GET /api/user/similar':
      return [200, { users: similarTo(query.get('id')).slice(0, Number(query.get('limit'))), complete: true }]
    case 'GET /api/cohorts':
      return [200, { cohorts: cohorts() }]
    case 'GET /api/cohort/users': {
      const cohort = cohorts().find((found) => found.slug === query.get('cohort'))
      const all = members(cohort.name)
      const [limit, offset] = [Number(query.get('limit') ?? 50), Number(query.get('cursor') ?? 0)]
      const users = all.slice(offset, offset + limit).map((person) => profileOf(person, false))
      const next_cursor = offset + limit < all.length ? String(offset + limit) : null
      return [200, { cohort: cohort.name, total: all.length, limit, offset, users, next_cursor }]
    }
    case 'POST /api/classify':
      return [200, { results: JSON.parse(body).texts.map(classify) }]
    case 'POST /graphql': {
      const { query: source, variables: variableValues, operationName } = JSON.parse(body)
      return [200, await graphql({ schema, source, rootValue: { cohorts }, variableValues, operationName })]
    }
    default:
      throw new Refusal(404, 'not_found', `there is no ${route}`)
  }
}

async function page(path) {
  const file = { '/': 'index.html', '/graphiql': 'graphiql.html' }[path] ?? path.slice(1)
  return [await readFile(new URL(file, DIST)), TYPES[file.split('.').pop()] ?? 'application/octet-stream']
}

createServer(async (request, response) => {
  const url = new URL(request.url, `http://${request.headers.host}`)
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  try {
    if (request.method === 'GET' && !url.pathname.startsWith('/api')) {
      const [content, type] = await page(url.pathname)
      response.writeHead(200, { ...HEADERS, 'Content-Type': type }).end(content)
      return
    }
    const [status, json] = await answer(request, url, Buffer.concat(chunks).toString())
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(json))
  } catch (error) {
    const { status = error.code === 'ENOENT' ? 404 : 500, code = 'internal', message, field } = error
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: { code, message, field } }))
  }
}).listen(PORT, '127.0.0.1', () => console.log(`fake server on http://127.0.0.1:${PORT}`))
