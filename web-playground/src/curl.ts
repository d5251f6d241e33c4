// A request as the command line that makes it, for any POSIX shell.

import { type Call, pathAndQuery } from './api'

/** Longer bodies are cut in the text on the page; the copy is whole. */
export const SHOWN_BODY_CHARS_MAX = 2_000

export function toCurl(call: Call<unknown>, origin: string): string {
  const parts = [`curl ${call.method === 'GET' ? '' : `-X ${call.method} `}${quote(origin + pathAndQuery(call))}`]
  // Double quotes, so that the shell fills the token in.
  if (!call.anonymous) parts.push('-H "Authorization: Bearer $TOKEN"')
  if (call.ofWebsite) parts.push(`-H ${quote(`Origin: ${origin}`)}`)
  for (const [name, value] of Object.entries(call.headers ?? {})) parts.push(`-H ${quote(`${name}: ${value}`)}`)
  if (call.contentType) parts.push(`-H ${quote(`Content-Type: ${call.contentType}`)}`)
  if (typeof call.body === 'string') parts.push(`--data-binary ${quote(call.body)}`)
  else if (call.body) parts.push(`--data-binary ${quote(`@${call.fileName ?? 'file'}`)}`)
  return parts.join(' \\\n  ')
}

/** In single quotes nothing is special but the single quote itself. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
