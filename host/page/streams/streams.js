// The view of streams: the list beside the stream that is open.

import { el, fill } from "../lib/dom.js"
import { List } from "./list.js"
import { StreamView } from "./stream.js"

/** The list and one stream. */
export class Streams {
  constructor() {
    this.list = new List()
    this.detail = el("div", { class: "detail" })
    this.element = el("div", { class: "split" }, this.list.element, this.detail)
  }

  show({ view, subject, settings }) {
    this.element.classList.toggle("open", view === "stream")
    this.list.show()
    if (view === "stream" && subject === this.open?.name) return
    this.open?.close()
    this.open = null
    this.list.table.select(subject)
    if (view !== "stream") return fill(this.detail, el("p", { class: "empty" }, "Choose a stream to watch it."))
    this.open = new StreamView({ name: subject, settings, onchange: () => this.list.search() })
    fill(this.detail, this.open.element)
    this.open.heading.focus({ preventScroll: true })
  }

  /** Shows everything again, with another token. */
  again(now) {
    this.open?.close()
    this.open = null
    this.list.walk = null
    this.show(now)
  }

  hide() {
    this.open?.close()
    this.open = null
  }
}
