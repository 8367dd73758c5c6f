// The content of a stream as bytes: place, hexadecimal digits, and ASCII characters.

import { el } from "../lib/dom.js"
import { Rows } from "../lib/rows.js"

/** Most bytes that are kept. */
const MOST = 8 * 1024 * 1024
/** Width in pixels from which a row has 16 bytes instead of 8. */
const WIDE = 640

const hex = (number, digits) => number.toString(16).padStart(digits, "0")

/** A dump of bytes. Places count from where the reading began, since offsets are opaque. */
export class BytesView {
  constructor() {
    this.rows = new Rows({
      rem: 1.35,
      render: (at) => this.row(at),
      key: (at) => `${this.cut + at * this.width}/${this.lengthOf(at)}`,
      attributes: { class: "rows bytes mono", tabindex: "0", role: "region", "aria-label": "Content as bytes", dir: "ltr" },
    })
    this.element = this.rows.element
    this.width = 16
    this.resizing = new ResizeObserver(() => this.fit())
    this.resizing.observe(this.element)
    this.clear()
  }

  clear() {
    this.chunks = []
    this.length = 0
    this.cut = 0
    this.rows.refresh()
    this.draw()
  }

  push(data) {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data
    if (!bytes.length) return
    this.chunks.push({ at: this.cut + this.length, bytes })
    this.length += bytes.length
    let rows = 0
    while (this.length > MOST && this.chunks.length > 1) {
      const { length } = this.chunks.shift().bytes
      rows += Math.ceil(length / this.width)
      this.length -= length
      this.cut += length
    }
    if (rows) this.rows.dropped(rows)
  }

  pushMessage(text) {
    this.push(text)
  }

  /** Bytes have no place for remarks: the state above them tells. */
  note() {}

  draw() {
    this.rows.resize(Math.ceil(this.length / this.width))
  }

  lengthOf(at) {
    return Math.min(this.width, this.length - at * this.width)
  }

  fit() {
    const width = this.element.clientWidth < WIDE ? 8 : 16
    if (width === this.width) return
    this.width = width
    this.rows.refresh()
    this.draw()
  }

  byte(place) {
    let [low, high] = [0, this.chunks.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.chunks[middle].at <= place) low = middle
      else high = middle - 1
    }
    return this.chunks[low].bytes[place - this.chunks[low].at]
  }

  row(at) {
    const start = this.cut + at * this.width
    const length = this.lengthOf(at)
    let [digits, text] = ["", ""]
    for (let place = start; place < start + length; place += 1) {
      const byte = this.byte(place)
      digits += `${hex(byte, 2)}${place - start === 7 ? "  " : " "}`
      text += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·"
    }
    const cells = [["address", hex(start, 8)], ["digits", digits.padEnd(this.width * 3 + 1)], ["ascii", text]]
    return el("div", { class: "row" }, ...cells.map(([name, content]) => el("span", { class: name }, content)))
  }

  get lost() {
    return this.cut ? "Only the last 8 MiB are kept." : ""
  }

  get scroller() {
    return this.element
  }

  toEnd() {
    this.rows.toEnd()
  }

  get isAtEnd() {
    return this.rows.isAtEnd
  }

  close() {
    this.resizing.disconnect()
    this.rows.close()
  }
}
