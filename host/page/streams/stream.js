// One stream: its state, its content, and what can be done with it.

import { describeServer } from "../lib/about.js"
import { isGivenUp } from "../lib/api.js"
import { trouble } from "../lib/announce.js"
import { button, el, fill, named } from "../lib/dom.js"
import { link } from "../lib/route.js"
import { Pane } from "../reader/pane.js"
import { closeStream, deleteStream, forkStream, stopStream } from "./actions.js"
import { describe } from "./calls.js"
import { badge, stateOf } from "./columns.js"
import { Composer } from "./composer.js"
import { Facts } from "./facts.js"
import { Forks } from "./forks.js"

/** Time between two looks at a stream's description. */
const LOOK_MS = 5000
/** The same while a lease counts down. */
const LEASE_LOOK_MS = 2000

/** The view of a stream. */
export class StreamView {
  constructor({ name, settings, onchange }) {
    Object.assign(this, { name, settings, onchange })
    this.over = new AbortController()
    this.state = el("span", {})
    this.actions = el("div", { class: "buttons" })
    this.composing = el("div", {})
    this.content = el("div", { class: "content" })
    this.side = el("div", { class: "side" })
    this.heading = el("h1", { tabindex: "-1" }, named(name))
    const back = el("a", { class: "back", href: link("streams") }, "All streams")
    this.element = el(
      "article",
      { class: "stream" },
      el("header", {}, back, this.heading, this.state, this.actions),
      this.composing,
      el("div", { class: "parts" }, this.content, this.side),
    )
    this.begin()
  }

  /** Loads the description, and then the content. */
  async begin() {
    fill(this.content, el("p", { class: "loading" }, "Loading…"))
    try {
      await describeServer()
      this.description = await describe(this.name, this.over.signal)
    } catch (error) {
      if (isGivenUp(error)) return
      return fill(this.content, trouble(error.message, () => this.begin()))
    }
    if (this.over.signal.aborted) return
    const { name, settings } = this
    this.facts = new Facts()
    this.forks = new Forks({ name, signal: this.over.signal })
    this.pane = new Pane({
      name,
      settings,
      type: this.description.content_type ?? "",
      onposition: (position) => this.moved(position),
    })
    fill(this.content, this.pane.element)
    fill(this.side, this.facts.element, this.forks.element)
    this.update()
    this.look()
  }

  /** Looks at the description again and again, while the tab is visible. */
  look() {
    clearTimeout(this.timer)
    const pause = this.description.lease_secs && !this.description.closed ? LEASE_LOOK_MS : LOOK_MS
    this.timer = setTimeout(() => (document.hidden ? this.look() : this.lookNow()), pause)
  }

  async lookNow() {
    const { signal } = this.over
    clearTimeout(this.timer)
    try {
      this.description = await describe(this.name, signal)
      this.facts.stale("")
      this.update()
    } catch (error) {
      if (isGivenUp(error) || signal.aborted) return
      this.facts.stale(error.message)
      // The stream is gone, and does not come back.
      if (error.status === 404 || error.status === 410) return
    }
    if (!signal.aborted) this.look()
  }

  /** The reading moved: the tail or the close may be news. */
  moved({ offset, closed, reason }) {
    if (closed && !this.description.closed) {
      Object.assign(this.description, { closed, closed_reason: reason || undefined, next_offset: offset })
      this.update()
      this.lookNow()
    }
  }

  update() {
    const { description } = this
    fill(this.state, badge(stateOf(description)))
    this.facts.show(description)
    this.forks.show(description)
    const { closed } = description
    if (closed === this.isClosed) return
    this.isClosed = closed
    const { name } = this
    const buttons = [
      !closed && button("Append", () => this.compose(), { class: "primary" }),
      button("Fork", async () => this.go(await forkStream(name, ""))),
      !closed && button("Stop", async () => (await stopStream(name)) && this.changed()),
      !closed && button("Close", async () => (await closeStream(name)) && this.changed()),
      button("Delete", async () => (await deleteStream(name, this.description.forks)) && this.deleted(), { class: "danger" }),
    ]
    fill(this.actions, ...buttons.filter(Boolean))
    if (closed) fill(this.composing)
  }

  compose() {
    if (this.composing.firstChild) return this.composing.querySelector("textarea").focus()
    const type = () => this.description.content_type
    const composer = new Composer({ name: this.name, type, ondone: () => fill(this.composing) })
    fill(this.composing, composer.element)
    composer.text.focus()
  }

  changed() {
    this.onchange()
    this.lookNow()
  }

  deleted() {
    this.onchange()
    location.hash = link("streams")
  }

  go(name) {
    if (!name) return
    this.onchange()
    location.hash = link("stream", name)
  }

  close() {
    this.over.abort()
    clearTimeout(this.timer)
    this.pane?.stop()
    this.facts?.close()
  }
}
