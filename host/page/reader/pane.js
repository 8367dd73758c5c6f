// The content of a stream: where to begin, how to show it, and the state of the connection.

import { has } from "../lib/about.js"
import { button, el, fill, newId, say } from "../lib/dom.js"
import { bytes, counted, figure } from "../lib/format.js"
import { keepSettings } from "../lib/route.js"
import { BytesView } from "./bytes-view.js"
import { Feed } from "./feed.js"
import { Follower } from "./follow.js"
import { JsonView } from "./json-view.js"
import { Start } from "./start.js"
import { TextView } from "./text-view.js"

const KINDS = { json: "JSON", text: "Text", bytes: "Bytes" }
/** Time over which the rate of arrivals is measured. */
const RATE_MS = 1000

/** Words for the state of the connection. */
const PHASES = {
  reading: () => "Reading",
  connecting: () => "Connecting",
  live: ({ by }) => `Live by ${by}`,
  paused: () => "Paused",
  hidden: () => "Paused while the tab is hidden",
  full: () => "Paused after 16 MiB",
  waiting: ({ secs, text }) => `${text} Reconnecting in ${secs} s`,
  ended: ({ reason }) => (reason ? `The stream has ended: ${reason}` : "The stream has ended"),
  failed: ({ text }) => text,
}

/** The content pane of one stream. */
export class Pane {
  constructor({ name, type, settings, onposition }) {
    Object.assign(this, { name, onposition })
    this.isJson = /^application\/json\s*(;|$)/i.test(type)
    const isText = /^text\//i.test(type) || /json/i.test(type)
    const asked = settings.get("view")
    this.kind = asked in KINDS ? asked : this.isJson ? "json" : isText ? "text" : "bytes"
    this.start = new Start({ settings, isJson: this.isJson, hasTail: has("tail"), go: () => this.read() })
    this.status = el("span", { class: "phase" })
    // Seconds that count down are not for the live region.
    this.spoken = el("span", { class: "unseen", role: "status" })
    this.tally = el("span", { class: "tally" })
    this.notes = el("div", { class: "notes" })
    this.place = el("div", { class: "view" })
    this.following = el("input", { type: "checkbox", checked: true, id: newId("follow") })
    this.following.addEventListener("change", () => this.setFollowing(this.following.checked))
    this.hold = button("Pause", () => this.turn(), { class: "hold" })
    this.element = el(
      "section",
      { class: "pane", "aria-label": "Content" },
      el("div", { class: "toolbar" }, this.kinds(), this.start.element, this.follow(), this.hold, button("Clear", () => this.clear())),
      el("p", { class: "state" }, this.status, this.tally),
      this.spoken,
      this.notes,
      this.place,
    )
    this.read()
  }

  kinds() {
    const group = newId("kind")
    const options = Object.entries(KINDS).map(([kind, word]) => {
      const input = el("input", { type: "radio", name: group, value: kind, checked: kind === this.kind })
      input.addEventListener("change", () => {
        this.kind = kind
        this.read()
      })
      return el("label", {}, input, el("span", {}, word))
    })
    return el("fieldset", { class: "kinds" }, el("legend", { class: "unseen" }, "Show as"), ...options)
  }

  follow() {
    const hint = "Keep the newest content in view"
    return el("label", { class: "follow", for: this.following.id, title: hint }, this.following, "Follow")
  }

  /** Reads from the chosen start. */
  read() {
    this.stop()
    keepSettings({ view: this.kind, ...this.start.settings })
    const start = this.start.position()
    if (!start) return
    const view = this.newView()
    this.view = view
    fill(this.place, view.element)
    fill(this.notes)
    view.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true })
    this.setFollowing(true)
    this.feed = new Feed({ view, isJson: this.isJson, kind: this.kind, drawn: () => this.drawn() })
    this.rate = { since: performance.now(), messages: 0, bytes: 0, text: "" }
    this.reasons = new Set()
    this.follower = new Follower({
      name: this.name,
      start,
      isExact: () => this.kind === "bytes" || view.isWithinCharacter === true,
      take: (data, position) => this.take(data, position),
      tell: (state) => this.tell(state),
    })
  }

  newView() {
    if (this.kind === "json") return new JsonView({ onleave: () => this.setFollowing(false) })
    return this.kind === "text" ? new TextView() : new BytesView()
  }

  take(data, position) {
    if (position.gap) {
      this.note(`${position.gap} Reading continues at the start of the present stream.`)
      return this.view.note(position.gap)
    }
    this.onposition(position)
    const taken = this.feed.take(data)
    if (position.closed) this.feed.end()
    return taken
  }

  drawn() {
    if (this.isFollowing) this.view.toEnd()
    if (this.view.lost) this.note(this.view.lost)
    this.count()
  }

  count() {
    const { feed, rate } = this
    const now = performance.now()
    const secs = (now - rate.since) / 1000
    if (secs * 1000 >= RATE_MS) {
      const number = feed.messages ? feed.messages - rate.messages : feed.bytes - rate.bytes
      const speed = number / secs
      rate.text = speed > 0 ? `, ${feed.messages ? `${figure(speed)} messages/s` : `${bytes(speed)}/s`}` : ""
      Object.assign(rate, { since: now, messages: feed.messages, bytes: feed.bytes })
    }
    const messages = this.isJson ? `${counted(feed.messages, "message")}, ` : ""
    say(this.tally, `${messages}${bytes(feed.bytes)} read${rate.text}`)
  }

  /** Adds a remark, once. */
  note(text) {
    if (this.reasons.has(text)) return
    this.reasons.add(text)
    this.notes.append(el("p", {}, text))
  }

  tell(state) {
    this.phase = state.phase
    const text = PHASES[state.phase](state)
    say(this.status, text)
    this.status.dataset.phase = state.phase
    say(this.spoken, state.phase === "waiting" ? "The connection is lost. Reconnecting." : state.phase === "reading" ? "" : text)
    const isHeld = state.phase === "paused" || state.phase === "full"
    say(this.hold, state.phase === "full" ? "Read on" : isHeld ? "Resume" : "Pause")
    this.hold.disabled = state.phase === "ended" || state.phase === "failed"
    if (state.phase === "ended" && !this.feed.bytes) fill(this.place, el("p", { class: "empty" }, "The stream ended without content."))
  }

  turn() {
    if (this.phase === "paused" || this.phase === "full") this.follower.resume()
    else this.follower.pause()
  }

  clear() {
    this.view.clear()
    fill(this.notes)
    this.reasons.clear()
    this.view.draw()
  }

  setFollowing(isOn) {
    this.isFollowing = isOn
    this.following.checked = isOn
    if (this.view) this.view.isFollowing = isOn
    if (isOn) this.view?.toEnd()
  }

  /** The reader who scrolls up wants to stay there, and at the end to follow again. */
  scrolled() {
    const { scrollTop } = this.view.scroller
    const isUp = scrollTop < (this.top ?? 0)
    this.top = scrollTop
    if (isUp && !this.view.isAtEnd && this.isFollowing) this.setFollowing(false)
    else if (!isUp && this.view.isAtEnd && !this.isFollowing) this.setFollowing(true)
  }

  /** The offset after all content that was read. */
  get offset() {
    return this.follower?.offset
  }

  stop() {
    this.follower?.close()
    this.view?.close()
    this.top = 0
  }
}
