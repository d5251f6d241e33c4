// What stands over the page while it is filmed: captions, a pointer, a frame around what is spoken about, and
// cards between. It is drawn into the page, in a shadow of its own, so that neither changes the other.

/** Height of the strip with the captions, in pixels. What is filmed has the rest of the window. */
export const STRIP = 92

/**
 * Runs in the page, before its scripts. `window.film.show` draws a state:
 * `{ pointer, pressed, ring, caption, chapter, progress, carried, card }`, each of which may be missing.
 */
export function overlay({ strip }) {
  const STYLE = `
    :host { all: initial; position: fixed; inset: 0; width: 100vw; height: 100vh; margin: 0; padding: 0; border: 0;
      background: none; overflow: hidden; pointer-events: none; font-family: 'DejaVu Sans', system-ui, sans-serif; }
    .strip { position: absolute; left: 0; right: 0; bottom: 0; height: ${strip}px; background: #10141f; color: #fff;
      display: flex; align-items: center; gap: 26px; padding: 0 32px; box-sizing: border-box; }
    .line { position: absolute; left: 0; bottom: ${strip - 3}px; height: 3px; background: #6d7cff; }
    .chapter { flex: none; width: 150px; font-size: 15px; line-height: 1.35; color: #b3bcff; font-weight: 600; }
    .caption { font-size: 21px; line-height: 1.4; text-wrap: balance; }
    .ring { position: absolute; border: 3px solid #e5484d; border-radius: 12px; box-shadow: 0 0 0 4px #e5484d33; }
    .pointer { position: absolute; width: 26px; height: 26px; filter: drop-shadow(0 1px 2px #0008); }
    .press { position: absolute; width: 40px; height: 40px; margin: -20px; border-radius: 50%; background: #3b4fd855;
      border: 2px solid #3b4fd8; box-sizing: border-box; }
    .carried { position: absolute; margin: 14px; padding: 8px 14px; border-radius: 8px; background: #fff; color: #10141f;
      border: 1px solid #9aa3b5; font-size: 15px; font-weight: 600; box-shadow: 0 4px 14px #0004; }
    .card { position: absolute; inset: 0; background: linear-gradient(135deg, #141a33, #27338f); color: #fff;
      display: flex; flex-direction: column; justify-content: center; padding: 0 120px; gap: 18px; }
    .card .mark { width: 72px; height: 72px; }
    .card h1 { margin: 0; font-size: 50px; line-height: 1.15; letter-spacing: -0.02em; }
    .card p { margin: 0; font-size: 24px; line-height: 1.45; color: #d6dbff; max-width: 900px; }
    .card ul { margin: 12px 0 0; padding: 0; list-style: none; columns: 2; font-size: 20px; line-height: 1.9; max-width: 900px; }
    .card li b { color: #9aa7ff; display: inline-block; width: 1.6em; }
    .card pre { margin: 10px 0 0; padding: 16px 22px; border-radius: 10px; background: #0b0f20; width: fit-content;
      font: 21px/1.6 'DejaVu Sans Mono', monospace; }
  `
  // The page's last lines would lie under the strip, and a dialog would stand over it.
  const ROOM = `body { padding-bottom: ${strip + 16}px !important; }
    dialog[open] { inset-block-end: ${strip}px !important; max-height: calc(100vh - ${strip + 24}px) !important; }`

  const host = document.createElement('film-overlay')
  host.popover = 'manual'
  host.ariaHidden = 'true'
  // A page's own sheet is above that of a shadow's host.
  host.style.setProperty('pointer-events', 'none', 'important')
  const shadow = host.attachShadow({ mode: 'closed' })
  // Not constructed sheets: those of a tab that was opened from another one belong to its first, empty document.
  const sheet = (text) => {
    const made = document.createElement('style')
    made.textContent = text
    return made
  }
  shadow.append(sheet(STYLE))
  const room = sheet(ROOM)

  const part = (name, parent = shadow) => {
    const made = document.createElement('div')
    made.className = name
    made.style.display = 'none'
    parent.append(made)
    return made
  }
  const ring = part('ring')
  const bar = part('strip')
  const line = part('line')
  const chapter = part('chapter', bar)
  const caption = part('caption', bar)
  const carried = part('carried')
  const press = part('press')
  const pointer = part('pointer')
  pointer.innerHTML = `<svg viewBox="0 0 26 26"><path d="M4 2l16 13-8 1 4.500 8-3.500 1.500L9 17l-5 5z" fill="#111" stroke="#fff" stroke-width="1.600"/></svg>`
  const card = part('card')

  const put = (element, there, place) => {
    element.style.display = there ? '' : 'none'
    if (there && place) for (const [key, value] of Object.entries(place)) element.style[key] = `${value}px`
  }
  const at = ({ x, y }) => ({ left: x, top: y })

  /** The last dialog that opened: the overlay has to be laid over it. */
  let dialog = null
  const climb = () => {
    if (!host.isConnected) document.documentElement.append(room, host)
    const open = [...document.querySelectorAll('dialog[open]')].at(-1) ?? null
    if (host.matches(':popover-open') && open === dialog) return
    if (host.matches(':popover-open')) host.hidePopover()
    host.showPopover()
    dialog = open
  }

  window.film = {
    show(state) {
      climb()
      put(ring, state.ring, state.ring && { left: state.ring.x, top: state.ring.y, width: state.ring.width, height: state.ring.height })
      put(bar, state.chapter)
      put(line, state.chapter, { width: (state.progress ?? 0) * innerWidth })
      put(chapter, state.chapter)
      chapter.textContent = state.chapter ?? ''
      put(caption, state.caption)
      caption.textContent = state.caption ?? ''
      put(pointer, state.pointer, state.pointer && at(state.pointer))
      put(press, state.pressed && state.pointer, state.pointer && at({ x: state.pointer.x + 4, y: state.pointer.y + 3 }))
      put(carried, state.carried && state.pointer, state.pointer && at(state.pointer))
      carried.textContent = state.carried ?? ''
      put(card, state.card)
      if (!state.card) return
      card.style.opacity = state.card.opacity ?? 1
      // Written here and nowhere else: no text of the page's.
      if (card.dataset.of !== state.card.html) card.innerHTML = card.dataset.of = state.card.html
    },
  }
}
