// What a pasted text or a chosen file is: JSON, NDJSON or CSV.

export type Format = 'json' | 'ndjson' | 'csv'

export const FORMATS: Record<Format, { label: string; contentType: string; extensions: string[] }> = {
  json: { label: 'JSON', contentType: 'application/json', extensions: ['json'] },
  ndjson: { label: 'NDJSON', contentType: 'application/x-ndjson', extensions: ['ndjson', 'jsonl'] },
  csv: { label: 'CSV', contentType: 'text/csv', extensions: ['csv', 'tsv', 'tab'] },
}

/** The examples that the page starts with: the same person, seen by two devices. */
export const EXAMPLES: Record<Format, string> = {
  json: JSON.stringify(
    {
      cookie: 'dk5h2p9s7f3j8m1n4v0x',
      email: 'john.smith@example.com',
      location: { city: 'Brooklyn', state: 'New York', country: 'USA' },
      demographics: { age: 42, gender: 'Male' },
      interests: ['cricket', 'football', 'tom brady'],
    },
    null,
    2,
  ),
  ndjson: [
    '{"cookie":"t4b8x1q6w2e9r7y3u5i0","email":"john.smith@example.com","interests":["golf"]}',
    '{"cookie":"h7m3k9c5v1z8l2p6a4d0","location":{"city":"Austin"},"interests":["bitcoin"]}',
  ].join('\n'),
  csv: [
    'cookie,email,city,state,country,age,gender,interests',
    't4b8x1q6w2e9r7y3u5i0,john.smith@example.com,Brooklyn,New York,USA,42,Male,cricket;golf',
    'n2j6s0f4g8h1d5k9w3q7,ana.lopez@example.com,Austin,Texas,USA,31,Female,"nike shoes;fashion week"',
  ].join('\n'),
}

export function formatOfFile(name: string): Format | undefined {
  // A packed file is told by what is inside.
  const extension = name.replace(/\.(gz|zst)$/i, '').split('.').pop()?.toLowerCase() ?? ''
  return (Object.keys(FORMATS) as Format[]).find((format) => FORMATS[format].extensions.includes(extension))
}

/** A guess at what a pasted text is, or nothing where it could be anything. */
export function formatOfText(text: string): Format | undefined {
  const trimmed = text.trim()
  if (trimmed.startsWith('[')) return 'json'
  if (trimmed.startsWith('{')) {
    const [first = '', second = ''] = trimmed.split('\n', 2)
    return isJson(first) && second.trim().startsWith('{') ? 'ndjson' : 'json'
  }
  return isTable(trimmed) ? 'csv' : undefined
}

/** A header of short names with one separator between, and a row that has it too, if there is one. */
function isTable(text: string): boolean {
  const [header = '', row = header] = text.split('\n', 2)
  return [',', ';', '\t', '|'].some((separator) => {
    const names = header.split(separator)
    const isHeader = names.length > 1 && names.every((name) => /^[^{}[\]]{1,60}$/.test(name.trim()))
    return isHeader && row.includes(separator)
  })
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
