// The model: what it says, why, the map, and a correction.

import { openScreen } from '../../story/support.mjs'

const answer = (page, text) => page.getByRole('article').filter({ has: page.getByRole('heading', { name: new RegExp(`^${text}`) }) })

export async function tell(stage) {
  const { page } = stage
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Classify' }))
  await openScreen(page, 'Classify')
  await stage.say('What does somebody like? A language model reads interests as words with a meaning. It runs inside the program: no text leaves it.')
  await asks(stage, 'tom brady\nnike shoes\ncrcket')
  await answer(page, 'crcket').getByRole('list', { name: /^Neighbours of/ }).waitFor()
  await stage.live(0.4)
  await stage.say('Nobody ever told it about “tom brady”. It says Sports, and shows the examples nearest to it.')
  await stage.show(answer(page, 'tom brady'))
  await stage.say('“nike shoes” are Fashion first…')
  await stage.show(answer(page, 'nike shoes'))
  await stage.say('…and “crcket” is a typing error: it is read as cricket.')
  await stage.show(answer(page, 'crcket'))
  await stage.read()
  await map(stage)
  await corrects(stage)
}

async function asks(stage, text) {
  const { page } = stage
  await stage.fill(page.getByLabel('Interests, one on each line'), text)
  await stage.click(page.getByRole('button', { name: 'Classify' }))
}

async function map(stage) {
  const { page } = stage
  const card = page.getByRole('region', { name: 'Map of interests' })
  await stage.bring(card, { always: true })
  await stage.click(card.getByRole('button', { name: 'Draw the map' }))
  await stage.say('A map of all that people like: what means nearly the same lies close together.')
  await card.getByRole('button', { name: /^football, Sports/ }).waitFor()
  await stage.live(2)
}

async function corrects(stage) {
  const { page } = stage
  await stage.read()
  await stage.bring(page.getByLabel('Interests, one on each line'), { always: true, top: 60 })
  await asks(stage, 'apple watch')
  const one = answer(page, 'apple watch')
  await one.locator('.badge').getByText('Technology').waitFor()
  await stage.say('Does your business see it otherwise? Correct the model. It holds at once, for everybody who has this interest.')
  await stage.click(one.getByText('Correct it'))
  await one.getByLabel('Health & Fitness').waitFor()
  await stage.click(one.getByLabel('Health & Fitness'))
  await stage.click(one.getByRole('button', { name: 'Save the correction' }))
  await one.getByText(/^Saved\./).waitFor()
  await stage.live(0.4)
}
