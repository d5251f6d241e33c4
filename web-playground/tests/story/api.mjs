// The API on the page: requests to copy, Swagger UI, GraphiQL; and GraphiQL's own page.

import { axe, BASE_URL, expectText, openScreen, picture } from './support.mjs'

/** Monaco is megabytes of script. */
const EDITOR_TIMEOUT_MS = 60_000

export async function showsItsRequests(page) {
  await openScreen(page, 'Cohorts')
  await openScreen(page, 'API')
  const requests = page.getByRole('region', { name: 'Requests', exact: true })
  await requests.getByRole('button', { name: /GET.*\/api\/cohorts(?![\/\w])/ }).first().click()
  const one = page.getByRole('region', { name: 'The request' })
  await expectText(one, `curl '${BASE_URL}/api/cohorts`)
  await expectText(one, 'query Cohorts')
}

export async function opensRequestInGraphiQL(page) {
  await page.getByRole('region', { name: 'The request' }).getByRole('link', { name: 'Open it in GraphiQL' }).click()
  const editor = page.getByRole('region', { name: 'Operation Editor' }).locator('.monaco-editor').first()
  await editor.waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await page.getByRole('button', { name: /^Execute query/ }).click()
  await page.getByRole('region', { name: 'Result Window' }).getByText('"automotive"').first().waitFor({ timeout: EDITOR_TIMEOUT_MS })
}

export async function triesSwagger(page) {
  await openScreen(page, 'API')
  await page.getByRole('navigation', { name: 'Views of the API' }).getByRole('link', { name: 'REST' }).click()
  const opening = page.waitForEvent('popup')
  await page.getByRole('link', { name: 'Open Swagger UI' }).click()
  // It asks with the token of the page.
  const swagger = await opening
  const route = swagger.locator('#operations-Cohorts-cohorts')
  await route.locator('.opblock-summary').click()
  await route.getByRole('button', { name: 'Try it out' }).click()
  await route.getByRole('button', { name: 'Execute' }).click()
  await route.locator('.live-responses-table').getByText('200').first().waitFor()
  await swagger.close()
  await page.getByRole('navigation', { name: 'Views of the API' }).getByRole('link', { name: 'Requests' }).click()
}

export async function queriesGraphiQL(page) {
  // The session of the first page counts here, in the same tab.
  await page.getByRole('banner').getByRole('link', { name: 'GraphiQL' }).click()
  const editor = page.getByRole('region', { name: 'Operation Editor' }).locator('.monaco-editor').first()
  await editor.waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await editor.click()
  await page.keyboard.press('Control+A')
  // The editor would put a typed brace around what is selected.
  await page.keyboard.press('Delete')
  await page.keyboard.type('{ cohorts { name size } }')
  await page.getByRole('button', { name: /^Execute query/ }).click()
  const result = page.getByRole('region', { name: 'Result Window' })
  await result.getByText('"name"').first().waitFor({ timeout: EDITOR_TIMEOUT_MS })
  // A saved operation opens in a tab of its own, with its variables.
  await page.getByRole('button', { name: /Saved operations/ }).click()
  const saved = page.getByRole('region', { name: 'Saved operations' })
  await saved.getByRole('button', { name: 'classify', exact: true }).click()
  await page.getByRole('button', { name: /^Execute query/ }).click()
  await result.getByText('"classify"').first().waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await axe(page, 'GraphiQL, light')
  await picture(page, 'graphiql-light')
  // The editor looks at the colour scheme when it starts.
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.reload()
  await editor.waitFor({ timeout: EDITOR_TIMEOUT_MS })
  await axe(page, 'GraphiQL, dark')
  await picture(page, 'graphiql-dark')
  await page.emulateMedia({ colorScheme: 'light' })
}
