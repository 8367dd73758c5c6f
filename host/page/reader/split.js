// Messages of a JSON array, each as it was written. Numbers keep their digits, since nothing is parsed.

const [QUOTE, BACKSLASH, COMMA] = [34, 92, 44]
/** With this bit, both kinds of brackets have one code. */
const EITHER = 32
const [OPEN, CLOSE] = [123, 125]

/** The texts of the elements of an array. */
export function split(array) {
  const found = []
  const text = array.trim()
  const end = text.length - 1
  let [depth, start] = [0, 1]
  for (let at = 1; at < end; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = afterText(text, at)
    } else if ((code | EITHER) === OPEN) {
      depth += 1
    } else if ((code | EITHER) === CLOSE) {
      depth -= 1
    } else if (code === COMMA && depth === 0) {
      found.push(text.slice(start, at))
      start = at + 1
    }
  }
  const last = text.slice(start, end).trim()
  if (last) found.push(last)
  return found
}

/** The place of the quote that ends the text which begins at `at`. */
function afterText(text, at) {
  let end = text.indexOf('"', at + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end < 0 ? text.length : end
}

function isEscaped(text, at) {
  let before = at - 1
  while (text.charCodeAt(before) === BACKSLASH) before -= 1
  return (at - before) % 2 === 0
}
