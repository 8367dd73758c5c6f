// The messages that a tab keeps, and their rows.

import { lines, opened, parse, toggle } from "./tree.js"

/** Most messages, and most characters of them, that are kept. */
export const MOST = 20_000
const MOST_CHARACTERS = 16 * 1024 * 1024

/** Messages in order. A message has one row, or a row for each line if it is open. */
export class Messages {
  constructor() {
    this.all = []
    this.characters = 0
    this.taken = 0
    this.open = 0
  }

  /** Adds a message. */
  push(text) {
    this.taken += 1
    this.index = null
    this.all.push({ number: this.taken, text, lines: null, open: null, version: 0 })
    this.characters += text.length
  }

  /** Drops the first messages that are too many. Returns their number of rows. */
  trim() {
    let [end, rows] = [0, 0]
    while (end < this.all.length - 1 && (this.all.length - end > MOST || this.characters > MOST_CHARACTERS)) {
      const message = this.all[end]
      this.characters -= message.text.length
      rows += message.lines?.length ?? 1
      if (message.lines) this.open -= 1
      end += 1
    }
    if (end) {
      this.all.splice(0, end)
      this.index = null
    }
    return rows
  }

  /** Number of rows. */
  get rows() {
    return this.open ? this.starts()[this.all.length] : this.all.length
  }

  /** The first row of each message, and the number of all rows behind them. */
  starts() {
    if (this.index) return this.index
    this.index = new Int32Array(this.all.length + 1)
    this.all.forEach((message, at) => {
      this.index[at + 1] = this.index[at] + (message.lines?.length ?? 1)
    })
    return this.index
  }

  /** The message and line of a row. */
  at(row) {
    if (!this.open) return { message: this.all[row], line: 0 }
    const starts = this.starts()
    let [low, high] = [0, this.all.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (starts[middle] <= row) low = middle
      else high = middle - 1
    }
    return { message: this.all[low], line: row - starts[low] }
  }

  /** The row of a message's line; -1 if the message was dropped. */
  rowOf(message, line) {
    const at = this.all.length && message.number - this.all[0].number
    if (this.all[at] !== message) return -1
    const start = this.open ? this.starts()[at] : at
    return start + Math.min(line, (message.lines?.length ?? 1) - 1)
  }

  /** Whether the value of a row is open. Undefined for a plain value. */
  isOpen({ message, line }) {
    if (!message.lines) return message.isPlain ? undefined : false
    const { kind, isOpen } = message.lines[line]
    return kind === "nested" ? isOpen : undefined
  }

  /** Opens or folds the value of a row. */
  toggle({ message, line }) {
    message.version += 1
    this.index = null
    if (!message.lines) {
      const parsed = parsedOf(message)
      if (parsed === NOT_JSON) return
      message.value = parsed
      message.open = opened()
      this.open += 1
    } else if (line === 0) {
      Object.assign(message, { lines: null, open: null, value: undefined })
      this.open -= 1
      return
    } else {
      toggle(message.open, message.lines[line])
    }
    message.lines = lines(message.value, message.open)
  }
}

const NOT_JSON = Symbol("not JSON")

/** The value of a message. A plain one has no row to open, and text that is not JSON has no value. */
function parsedOf(message) {
  try {
    const value = parse(message.text)
    if (typeof value === "object" && value !== null && Object.keys(value).length) return value
  } catch {
    message.isBroken = true
  }
  message.isPlain = true
  return NOT_JSON
}
