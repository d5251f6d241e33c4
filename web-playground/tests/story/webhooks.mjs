// A webhook, and a receiver of its own for it.

import { createServer } from 'node:http'

import { eventually, openScreen, RUN, sendRecords } from './support.mjs'

export async function tellsReceiver(page) {
  const received = []
  const receiver = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => {
      received.push({ signature: request.headers['webhook-signature'], ...JSON.parse(body) })
      response.writeHead(204).end()
    })
  })
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done))
  try {
    await makes(page, `http://127.0.0.1:${receiver.address().port}/hook`)
    const one = page.getByRole('region', { name: 'Webhook', exact: true })
    await one.getByText(/^whsec_/).waitFor()
    await one.getByRole('button', { name: 'Send a test' }).click()
    await one.getByText(/^The receiver took it: 204/).waitFor()
    await sendRecords(page, [{ cookie: `hooked-${RUN}`, email: `hooked-${RUN}@example.com`, interests: ['football', 'tennis'] }])
    const entered = await eventually(
      'the receiver is told who entered',
      () => received.find(({ type }) => type === 'cohort.entered') ?? null,
      (message) => message !== null,
    )
    if (!entered.signature?.startsWith('v1,')) throw new Error('the message is not signed')
    const log = page.getByRole('region', { name: 'Deliveries', exact: true })
    await eventually(
      'the delivery is in the log',
      async () => {
        await log.getByRole('button', { name: 'Refresh' }).click()
        return log.getByText('cohort.entered Sports').count()
      },
      (count) => count > 0,
    )
    await one.getByRole('button', { name: 'Pause' }).click()
    await one.getByText('paused').waitFor()
  } finally {
    receiver.close()
  }
}

async function makes(page, url) {
  await openScreen(page, 'Webhooks')
  await page.getByRole('button', { name: 'New webhook' }).click()
  const form = page.getByRole('form', { name: 'New webhook' })
  await form.getByRole('textbox', { name: 'Name' }).fill(`Story ${RUN}`)
  await form.getByRole('textbox', { name: 'Address' }).fill(url)
  await form.getByRole('checkbox', { name: 'email' }).check()
  await form.getByRole('button', { name: 'Make it' }).click()
}
