// Captions and chapters as files: WebVTT beside the film, and ffmpeg's metadata within it.

/** `h:mm:ss.mmm` of seconds. */
export function stamp(seconds) {
  const ms = Math.round(seconds * 1000)
  const two = (number, digits = 2) => String(number).padStart(digits, '0')
  return `${two(Math.floor(ms / 3_600_000))}:${two(Math.floor(ms / 60_000) % 60)}:${two(Math.floor(ms / 1000) % 60)}.${two(ms % 1000, 3)}`
}

export function vttOf(cues) {
  const parts = cues.map(({ text, from, to }) => `${stamp(from)} --> ${stamp(to)}\n${text}\n`)
  return `WEBVTT\n\n${parts.join('\n')}`
}

export function metadataOf(title, chapters, length) {
  const escaped = (text) => text.replace(/[=;#\\\n]/g, (sign) => `\\${sign}`)
  const parts = chapters.map(({ name, at }, index) => {
    const end = chapters[index + 1]?.at ?? length
    return `[CHAPTER]\nTIMEBASE=1/1000\nSTART=${Math.round(at * 1000)}\nEND=${Math.round(end * 1000)}\ntitle=${escaped(name)}\n`
  })
  return `;FFMETADATA1\ntitle=${escaped(title)}\n${parts.join('')}`
}
