// A walk over the server's list of streams that looks for names.

import { control, json } from "../lib/api.js"

/** Entries of a page. Small pages are answered at once, large ones bring a long walk to its end. */
const FIRST = 100
const LIMIT = 1000

/** A search: names that begin with a text, or contain it. */
export class Walk {
  constructor(text, match) {
    this.text = text
    this.match = match
    this.next = undefined
    this.pages = 0
    this.isDone = false
  }

  /** The complete segments that every wanted name begins with. The server knows only those. */
  get prefix() {
    return this.match === "begins" ? this.text.slice(0, Math.max(0, this.text.lastIndexOf("/"))) : ""
  }

  wants(name) {
    return this.match === "begins" ? name.startsWith(this.text) : name.includes(this.text)
  }

  /** The wanted streams of the next page, which may be none. */
  async page(signal) {
    const query = new URLSearchParams({ limit: this.pages === 0 && !this.text ? FIRST : LIMIT })
    if (this.prefix) query.set("prefix", this.prefix)
    if (this.next) query.set("after", this.next)
    const { streams, next } = await json(`${control("streams")}?${query}`, { signal })
    this.pages += 1
    this.next = next
    this.isDone = !next
    return streams.filter(({ name }) => this.wants(name))
  }
}
