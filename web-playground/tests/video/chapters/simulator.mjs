// Two browsers, two visitors, one person.

import { openScreen } from '../../story/support.mjs'

export async function tell(stage) {
  const { page } = stage
  const [laptop, phone] = ['Laptop', 'Phone'].map((name) => page.getByRole('region', { name, exact: true }))
  const known = page.getByRole('region', { name: 'What the platform knows' })
  await stage.top()
  await stage.click(page.getByRole('navigation', { name: 'Screens' }).getByRole('link', { name: 'Simulator' }))
  await openScreen(page, 'Simulator')
  await stage.say('A small shop, in two browsers. Each has a cookie of its own, and nobody has said who they are.')
  await stage.bring(laptop, { always: true })
  await stage.read()
  await stage.say('On the laptop somebody looks at a football…')
  await stage.click(laptop.getByRole('button', { name: 'Match football' }))
  await known.getByText('one person').waitFor()
  await stage.say('…and on the phone somebody looks at a headset for games.')
  await stage.click(phone.getByRole('button', { name: 'Gaming headset' }))
  await known.getByText('two people').waitFor()
  await known.getByText('Gaming', { exact: true }).first().waitFor()
  await stage.read()
  await stage.say('The platform knows two strangers. One is a sports fan by now, the other one a gamer.')
  await stage.bring(known, { top: 40, always: true })
  await stage.live(1.5)
  await stage.say('Now the visitor logs in on the laptop, and with the same address on the phone.')
  await stage.bring(laptop, { always: true })
  await stage.click(laptop.getByRole('button', { name: 'Log in' }))
  await laptop.getByText(/^logged in as/).waitFor()
  await stage.click(phone.getByRole('button', { name: 'Log in' }))
  await page.getByText(/are one person: the platform just merged them/).waitFor()
  await stage.say('Two visitors have become one person: with both cookies, all interests, and in both cohorts.')
  await stage.bring(known, { top: 40, always: true })
  await known.getByText('one person').waitFor()
  await stage.live(2.5)
}
