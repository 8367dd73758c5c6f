// The lines of a JSON value, of which any object or array can be folded.

/** Entries of an object or array that are shown at once. */
const ENTRIES = 100
/** Characters of a text that are shown in its line. */
export const SHOWN = 400

/** A number with the digits that the writer gave it. */
class Exact {
  constructor(digits) {
    this.digits = digits
  }
}

/** Numbers that JavaScript may write in another way. */
const SPECIAL = /\d[.eE]|\d{16}|-0/

/** Parses a message. Throws if it is not JSON. */
export function parse(text) {
  if (!SPECIAL.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_, value, context) => {
    if (typeof value !== "number" || !context?.source || context.source === String(value)) return value
    return new Exact(context.source)
  })
}

const isNested = (value) => typeof value === "object" && value !== null && !(value instanceof Exact)

/** A short text for a value that is folded. */
function folded(value) {
  if (Array.isArray(value)) return `[ ${value.length} ]`
  return `{ ${Object.keys(value).length} }`
}

function plain(value) {
  if (value instanceof Exact) return { kind: "number", text: value.digits }
  if (typeof value !== "string") return { kind: value === null ? "null" : typeof value, text: String(value) }
  const text = JSON.stringify(value)
  const cut = text.length > SHOWN ? `${text.slice(0, SHOWN)}… (${value.length} characters)` : text
  return { kind: "string", text: cut }
}

/**
 * A line: its depth, the path of its value, its label, and either the text of a plain value or whether
 * the nested value is open.
 */
function* linesOf(value, label, depth, path, open) {
  if (!isNested(value)) {
    yield { depth, path, label, value, ...plain(value) }
    return
  }
  const isOpen = open.has(path)
  yield { depth, path, label, value, kind: "nested", text: folded(value), isOpen }
  if (!isOpen) return
  const keys = Object.keys(value)
  const most = open.get(path)
  for (const key of keys.slice(0, most)) {
    yield* linesOf(value[key], key, depth + 1, `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, open)
  }
  const left = keys.length - most
  if (left > 0) yield { depth: depth + 1, path, label: "", kind: "more", text: `${left} more, show the next ${Math.min(left, ENTRIES)}` }
}

/** The lines below a value. `open` maps the path of each open value to its number of shown entries. */
export function lines(value, open) {
  return [...linesOf(value, "", 0, "", open)]
}

/** Opens or folds the value of a line, or shows more of it. */
export function toggle(open, line) {
  if (line.kind === "more") open.set(line.path, open.get(line.path) + ENTRIES)
  else if (line.isOpen) open.delete(line.path)
  else open.set(line.path, ENTRIES)
}

/** A new message's open values: itself. */
export const opened = () => new Map([["", ENTRIES]])
