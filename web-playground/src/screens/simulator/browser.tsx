// One browser with the shop in it: a cookie of its own, products to look at, and a log-in.

import { useSignal } from '@preact/signals'

import type { Call } from '../../api'
import type { Collected } from '../../calls/collect'
import { useRequest } from '../../request'
import { Asked } from '../../ui/asked'
import { logIn, see, type Visitor } from '../../visitor'
import { NotCollected } from './not-collected'
import { Art, type Product, PRODUCTS } from './products'

export interface BrowserProps {
  name: string
  visitor: Visitor
  seen: string[]
  /** The address that is suggested at the log-in. */
  email: string
  onChange: (visitor: Visitor, seen: string[]) => void
  onNewVisitor: () => void
}

export function Browser({ name, visitor, seen, email, onChange, onNewVisitor }: BrowserProps) {
  const request = useRequest<Collected>()
  const sent = useSignal<Call<Collected> | undefined>(undefined)
  const page = seen.at(-1)

  const send = (call: Call<Collected>) => {
    sent.value = call
    return request.run(call)
  }
  const look = async (product: Product) => {
    if (await send(see(visitor, { page: `/${product.id}`, interests: product.interests }))) {
      onChange(visitor, [...seen.filter((id) => id !== product.id), product.id])
    }
  }
  const enter = async (event: SubmitEvent) => {
    event.preventDefault()
    const typed = String(new FormData(event.currentTarget as HTMLFormElement).get('email')).trim()
    if (await send(logIn(visitor, typed))) onChange({ ...visitor, email: typed }, seen)
  }
  return (
    <section class="browser" aria-label={name}>
      <div class="browser-bar">
        <strong>{name}</strong>
        <span class="browser-address">shop.example/{page ?? ''}</span>
        <button type="button" class="quiet" onClick={onNewVisitor}>
          Clear cookie
        </button>
        <span class="browser-cookie small">
          cookie <code>{visitor.cookie}</code>
        </span>
      </div>
      <div class="shop">
        <div class="shop-head">
          <strong>Corner Shop</strong>
          {visitor.email ? (
            <span class="small">
              logged in as <strong>{visitor.email}</strong>
            </span>
          ) : (
            <span class="small">browsing without a name</span>
          )}
        </div>
        <ul class="products" aria-label={`Products in ${name}`}>
          {PRODUCTS.map((product) => (
            <li key={product.id}>
              <button type="button" aria-pressed={seen.includes(product.id)} onClick={() => void look(product)}>
                <Art product={product} />
                <span>{product.name}</span>
              </button>
            </li>
          ))}
        </ul>
        {!visitor.email && (
          <form class="shop-log-in" onSubmit={enter}>
            <input name="email" type="email" aria-label={`Email in ${name}`} key={email} defaultValue={email} required />
            <button type="submit">Log in</button>
          </form>
        )}
        <NotCollected answer={request.answer.value} error={request.error.value} />
        {sent.value && <Asked call={sent.value} what="What it sent" />}
      </div>
    </section>
  )
}
