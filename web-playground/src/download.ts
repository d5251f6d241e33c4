// An answer as a file on the disk of whoever looks at the page.

import { ApiError, type Call, pathAndQuery } from './api'
import { session } from './session'

export async function download(call: Call<unknown>, name: string): Promise<void> {
  const response = await fetch(pathAndQuery(call), {
    headers: { Authorization: `Bearer ${session.peek()?.token ?? ''}` },
  }).catch(() => undefined)
  if (!response) throw new ApiError(0, 'unreachable', 'The server did not answer. Check that it is running, then try again.')
  if (!response.ok) {
    const body = (await response.json().catch(() => undefined)) as { error?: { code: string; message: string } } | undefined
    throw new ApiError(response.status, body?.error?.code ?? 'unexpected', body?.error?.message ?? `The server answered ${response.status}.`)
  }
  save(await response.blob(), name)
}

export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
