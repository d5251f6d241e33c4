// A real browser, and a website of its own: pages in memory, and files of npm packages.

import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { join, normalize } from 'node:path'

import { chromium } from 'playwright-core'

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

const PACKAGES = fileURLToPath(new URL('node_modules/', import.meta.url))

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS })

/** Serves pages by their paths, and below `/npm/` what is installed; where it is. */
export async function serveSite(pages) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://site').pathname
    if (path.startsWith('/npm/')) {
      const file = await readFile(join(PACKAGES, normalize(path.slice('/npm/'.length)))).catch(() => null)
      response.writeHead(file ? 200 : 404, { 'content-type': 'text/javascript' })
      return response.end(file)
    }
    const page = pages[path] ?? pages['*']
    response.writeHead(page ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' })
    response.end(page)
  })
  await new Promise(listening => server.listen(0, '127.0.0.1', listening))
  return `http://127.0.0.1:${server.address().port}`
}
