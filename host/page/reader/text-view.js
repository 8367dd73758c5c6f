// The content of a stream as text.

import { el } from "../lib/dom.js"

/** Most characters that are kept. */
const MOST = 512 * 1024
/** Characters of a block after which a line break begins the next one. */
const BLOCK = 4 * 1024
/** Characters of a block after which the next one begins without a line break. */
const LONGEST = 32 * 1024

/** Whether the last UTF-8 character of these bytes is not complete. */
function endsWithin(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]
    if (byte < 0x80) return false
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2)
  }
  return false
}

/** Text in blocks, so that an append lays out the last block only. */
export class TextView {
  constructor() {
    this.element = el("div", { class: "text mono", tabindex: "0", role: "region", "aria-label": "Content as text", dir: "auto" })
    this.clear()
  }

  clear() {
    this.decoder = new TextDecoder()
    this.isWithinCharacter = false
    this.waiting = ""
    this.length = 0
    this.cut = 0
    this.element.replaceChildren()
    this.block = null
  }

  /** Takes bytes, or the data of an event. */
  push(data) {
    if (typeof data !== "string" && data.length) this.isWithinCharacter = endsWithin(data)
    this.waiting += typeof data === "string" ? data : this.decoder.decode(data, { stream: true })
    // Text that would be cut at once needs no layout.
    if (this.waiting.length > MOST) {
      this.cut += this.waiting.length - MOST
      this.waiting = this.waiting.slice(-MOST)
    }
  }

  /** Takes a message of a JSON stream. */
  pushMessage(text) {
    this.push(`${text}\n`)
  }

  /** Takes a remark of the page's own. */
  note(text) {
    this.draw()
    this.element.append(el("div", { class: "gap" }, text))
    this.block = null
  }

  /** Shows the text that was taken. */
  draw() {
    let text = this.waiting
    this.waiting = ""
    while (text) {
      if (!this.block) {
        this.block = el("div", { class: "block" }, document.createTextNode(""))
        this.element.append(this.block)
      }
      const node = this.block.firstChild
      const room = LONGEST - node.length
      const line = text.indexOf("\n", Math.max(0, BLOCK - node.length))
      const isLine = line >= 0 && line < room
      const end = isLine ? line : Math.min(room, text.length)
      node.appendData(text.slice(0, end))
      this.length += end
      text = text.slice(isLine ? end + 1 : end)
      if (isLine || node.length >= LONGEST) this.block = null
    }
    this.trim()
  }

  trim() {
    while (this.length > MOST && this.element.childElementCount > 1) {
      const { length } = this.element.firstChild.textContent
      this.length -= length
      this.cut += length
      this.element.firstChild.remove()
    }
  }

  /** A sentence about content that was taken and is not kept. */
  get lost() {
    return this.cut ? "Only the last 512 KiB are kept." : ""
  }

  get scroller() {
    return this.element
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight
  }

  get isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element
    return scrollTop + clientHeight >= scrollHeight - 24
  }

  close() {}
}
