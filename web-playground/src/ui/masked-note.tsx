// Says that values are not shown whole, where some are not.

export function MaskedNote({ when }: { when: boolean }) {
  if (!when) return null
  return (
    <p class="small masked-note" role="note">
      Your role sees the outline of addresses, cookies and the like: <code>a***@e***.com</code>. Parts of one find nobody.
    </p>
  )
}
