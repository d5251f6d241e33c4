// What the simulated shop sells, and what looking at it says of a visitor.

export interface Product {
  id: string
  name: string
  price: string
  interests: string[]
  hue: number
  /** The strokes of its picture, in a box of 24 by 24. */
  art: string
}

export const PRODUCTS: Product[] = [
  {
    id: 'football',
    name: 'Match football',
    price: '$39',
    interests: ['football', 'premier league'],
    hue: 2,
    art: 'M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM12 8l4 3l-1.5 4.5h-5L8 11zM12 3v5M16 11l4.5-2M14.5 15.5l3 4M9.5 15.5l-3 4M8 11L3.5 9',
  },
  {
    id: 'sneakers',
    name: 'Trail sneakers',
    price: '$120',
    interests: ['running shoes', 'sneakers'],
    hue: 3,
    art: 'M3 17v-7c2 2 4 1 5-1l4 4c2 1.5 5 1.5 7 2.5c1.5.8 2 1.5 2 3.5H4c-.6 0-1-.6-1-2zM9 10l-2 1.6M11 12l-1.8 1.6M3 17.5h18',
  },
  {
    id: 'headset',
    name: 'Gaming headset',
    price: '$89',
    interests: ['video games', 'esports'],
    hue: 0,
    art: 'M4 15v-3a8 8 0 0 1 16 0v3M4 15a2 2 0 0 1 4 0v3a2 2 0 0 1-4 0zM16 15a2 2 0 0 1 4 0v3a2 2 0 0 1-4 0zM20 18c0 3-3 3-6 3',
  },
  {
    id: 'guitar',
    name: 'Acoustic guitar',
    price: '$210',
    interests: ['guitar', 'rock music'],
    hue: 1,
    art: 'M20 4l-8 8M18 2.5l3.5 3.5M12.5 8.5c-2.500-1.500-4.500 0-5 1.500c-.5 1.600-2 1.500-3 2.500c-2 2-1.500 5 .5 7s5 2.500 7 .5c1-1 .9-2.500 2.500-3c1.500-.5 3-2.500 1.500-5M9.500 13.200a1.600 1.600 0 1 0 .01 0',
  },
  {
    id: 'flight',
    name: 'Weekend in Lisbon',
    price: '$260',
    interests: ['city breaks', 'flights to lisbon'],
    hue: 5,
    art: 'M3 13l3-1l3 2l5-2l-7-7l2.500-.8l9 5.300c1.500-.6 3-.9 3.500.1s-.6 2-2 2.600L6 17.500z',
  },
  {
    id: 'espresso',
    name: 'Espresso machine',
    price: '$340',
    interests: ['espresso', 'coffee beans'],
    hue: 1,
    art: 'M5 9h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zM16 10h2a2.500 2.500 0 0 1 0 5h-2M8 3c-1 1 1 2 0 3M12 3c-1 1 1 2 0 3M4 21h13',
  },
  {
    id: 'yoga',
    name: 'Yoga mat',
    price: '$45',
    interests: ['yoga', 'meditation'],
    hue: 4,
    art: 'M12 4.500a1.600 1.600 0 1 0 .01 0M12 9v5M12 10l-5 4M12 10l5 4M4 19c3 0 5-1 8-5c3 4 5 5 8 5M7 19h10',
  },
  {
    id: 'fund',
    name: 'Investing handbook',
    price: '$25',
    interests: ['index funds', 'stock market'],
    hue: 2,
    art: 'M4 5c3-1 6-1 8 1c2-2 5-2 8-1v14c-3-1-6-1-8 1c-2-2-5-2-8-1zM12 6v14M15 14l1.500-2l1.500 1l1.500-2.500',
  },
]

export function Art({ product }: { product: Product }) {
  return (
    <span class={`product-art hue-${product.hue}`} aria-hidden="true">
      <svg width="34" height="34" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
        <path d={product.art} />
      </svg>
    </span>
  )
}
