// The API: the request of a card, GraphiQL, Swagger UI.

/** After so long a click was lost, in milliseconds. */
const LOST_MS = 3_000

export async function tell(stage) {
  const { page } = stage
  await stage.say('All that this page does, other programs can do. Every card shows its own request, ready to copy.')
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'People' }))
  await stage.top()
  const card = page.locator('.screen:not([hidden]) .asked').first()
  await stage.bring(card, { top: 40, always: true })
  await stage.click(card.locator('summary'))
  await stage.live(0.4)
  await stage.show(card)
  await stage.say('The same in GraphQL, where one asks for just the fields one needs. It opens in GraphiQL…')
  await stage.click(card.getByText('GraphQL', { exact: true }))
  await stage.hold(0.6)
  await stage.click(card.getByRole('link', { name: 'Open it in GraphiQL' }))
  await graphiql(stage)
  await swagger(stage)
}

async function graphiql(stage) {
  const { page } = stage
  const editor = page.getByRole('region', { name: 'Operation Editor' }).locator('.monaco-editor').first()
  await editor.waitFor()
  await stage.bring(page.getByRole('region', { name: 'GraphQL', exact: true }), { always: true })
  await stage.live(1)
  await stage.say('…runs there, with completion and documentation, and answers in milliseconds.')
  await stage.click(page.getByRole('button', { name: /^Execute query/ }))
  await page.getByRole('region', { name: 'Result Window' }).getByText('"data"').first().waitFor()
  await stage.live(0.8)
}

async function swagger(stage) {
  const { page } = stage
  await stage.read()
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Views of the API' }).getByRole('link', { name: 'REST' }))
  await stage.hold(0.5)
  const opening = page.waitForEvent('popup')
  await stage.click(page.getByRole('link', { name: 'Open Swagger UI' }))
  const docs = await opening
  const route = docs.locator('#operations-Cohorts-cohorts')
  await route.waitFor()
  await stage.use(docs)
  // It draws a few hundred routes, one after the other.
  await stage.live(2)
  await stage.say('Every route of the REST API is described, and can be tried on the spot.')
  await stage.bring(route, { always: true, top: 60 })
  await stage.click(route.locator('.opblock-summary-method'))
  await route.getByRole('button', { name: 'Try it out' }).waitFor()
  await stage.live(0.4)
  const [tries, executes] = ['Try it out', 'Execute'].map((name) => route.getByRole('button', { name }))
  await stage.click(tries)
  // While Swagger UI still draws, it may lose a click.
  await executes.waitFor({ timeout: LOST_MS }).catch(() => tries.click())
  await stage.click(executes)
  const answer = route.locator('.live-responses-table')
  await answer.getByText('200').first().waitFor()
  await stage.bring(answer, { always: true, top: 60 })
  await stage.read(0.5)
  await stage.use(page)
  await docs.close()
}
