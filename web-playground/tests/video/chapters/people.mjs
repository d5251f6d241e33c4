// One person: why they are one, what happened, a merge undone; then finding others, and where values come from.

const profile = (page) => page.getByRole('region', { name: 'Profile' })

export async function tell(stage) {
  const { page } = stage
  const known = page.getByRole('region', { name: 'What the platform knows' })
  await stage.click(known.getByRole('article').getByRole('link').first())
  const graph = profile(page).getByRole('article', { name: 'Identity graph' })
  await graph.getByText(/^\d+ merges?$/).waitFor()
  await stage.top()
  await stage.live(1.5)
  await stage.say('Why is this one person? The identity graph answers: circles are cookies, the box is the address that ties them.')
  await stage.show(graph.locator('.graph'))
  await stage.point(graph.getByRole('img').first())
  await stage.say('Cohorts say why as well: the very interests that put somebody there.')
  await stage.show(profile(page).getByRole('article').filter({ has: page.getByRole('heading', { name: 'Cohorts, and why' }) }))
  await seesTimeline(stage)
  await undoes(stage, graph)
  await searches(stage)
}

async function seesTimeline(stage) {
  const timeline = profile(stage.page).getByRole('article', { name: 'Timeline' })
  await stage.say('The timeline keeps every visit, merge and decision, with the record just as it arrived.')
  await stage.bring(timeline, { top: 30 })
  await stage.click(timeline.locator('summary').first())
  await stage.live(0.4)
}

async function undoes(stage, graph) {
  const { page } = stage
  await stage.say('Was it a family’s tablet, and two people after all? A merge is taken apart again, and the decision is kept.')
  await stage.click(graph.getByRole('list', { name: 'Merges' }).getByRole('button', { name: 'Undo' }))
  await stage.hold(0.8)
  await stage.click(page.getByRole('dialog').getByRole('button', { name: 'Undo the merge' }))
  await graph.getByText(/undone by admin/).waitFor()
  await stage.bring(graph.locator('.graph'))
  await stage.live(1.5)
}

async function searches(stage) {
  const { page } = stage
  await stage.read()
  await stage.top()
  await stage.click(page.getByRole('link', { name: '← All people' }))
  await stage.say('Anybody is found by half a name, a town or an interest, misspelt if you like.')
  const found = page.getByRole('region', { name: 'Found people' })
  await stage.click(page.getByRole('searchbox', { name: 'Search people' }))
  await stage.type('tennis broklyn')
  await found.getByRole('heading', { name: /^\d people$/ }).waitFor()
  await stage.live(0.5)
  await stage.read()
  await stage.click(found.getByRole('link', { name: /@/ }).first())
  const city = profile(page).getByRole('button', { name: 'Brooklyn', exact: true })
  await city.waitFor()
  await stage.top()
  await stage.live(0.8)
  await stage.say('Each value tells where it comes from: who sent it, when, and under which cookie.')
  await stage.point(city)
  await page.getByRole('tooltip').waitFor()
}
