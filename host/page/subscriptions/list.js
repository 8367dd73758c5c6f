// The list of subscriptions, and one subscription with its streams.

import { describeServer } from "../lib/about.js"
import { control, isGivenUp, json } from "../lib/api.js"
import { empty, trouble } from "../lib/announce.js"
import { button, el, fill, named, say } from "../lib/dom.js"
import { count, counted, until } from "../lib/format.js"
import { link } from "../lib/route.js"
import { Subscription } from "./one.js"

/** Entries of a page. */
const LIMIT = 200
/** Time between two looks at the list. */
const LOOK_MS = 5000
/** Subscriptions that the list keeps fresh by itself. Beyond that the reader refreshes it. */
const FRESH = 200


const COLUMNS = [
  ["Id", ({ id }) => el("a", { href: link("subscription", id) }, named(id))],
  ["Prefix", ({ prefix }) => prefix && named(prefix)],
  ["Type", ({ type }) => type],
  ["Pattern", ({ pattern }) => pattern && el("bdi", {}, pattern)],
  ["Streams", ({ streams }) => count(streams)],
  ["Phase", ({ phase }) => el("span", { class: `badge ${phase === "idle" ? "ended" : "live"}` }, phase)],
  ["Generation", ({ generation }) => count(generation)],
  ["Lease ends", ({ lease_ends_at }) => lease_ends_at && until(lease_ends_at)],
  ["Failures", ({ failures, status }) => failures > 0 && el("span", { class: status === "failed" ? "badge bad" : "" }, count(failures))],
  ["Next delivery", ({ next_delivery_at }) => next_delivery_at && until(next_delivery_at)],
]

/** The view of subscriptions. */
export class Subscriptions {
  constructor() {
    this.state = el("p", { class: "summary", role: "status" })
    this.place = el("div", { class: "place" })
    this.more = el("div", { class: "more" })
    this.list = el(
      "section",
      { class: "list", "aria-label": "List of subscriptions" },
      el("div", { class: "list-top" }, el("h1", { tabindex: "-1" }, "Subscriptions"), button("Refresh", () => this.begin())),
      this.state,
      this.place,
      this.more,
    )
    this.detail = el("div", { class: "detail" })
    this.element = el("div", { class: "split subscriptions" }, this.list, this.detail)
  }

  show({ view, subject }) {
    this.isShown = true
    this.element.classList.toggle("open", view === "subscription")
    this.begin()
    this.open?.close()
    this.open = view === "subscription" ? new Subscription(subject) : null
    fill(this.detail, this.open?.element ?? el("p", { class: "empty" }, "Choose a subscription to see its streams."))
    this.open?.heading.focus({ preventScroll: true })
  }

  again(now) {
    this.show(now)
  }

  hide() {
    this.isShown = false
    this.giveUp?.abort()
    clearTimeout(this.timer)
    this.open?.close()
    this.open = null
  }

  /** Loads the first page, in the place of all that was loaded. */
  begin() {
    this.after = undefined
    this.load([])
  }

  async load(known) {
    this.giveUp?.abort()
    this.giveUp = new AbortController()
    const { signal } = this.giveUp
    clearTimeout(this.timer)
    try {
      const server = await describeServer()
      if (signal.aborted) return
      if (!server.extensions.includes("listing")) return this.cannot(empty("This server has no list of subscriptions."))
      const query = new URLSearchParams({ limit: LIMIT, ...(this.after && { after: this.after }) })
      const { subscriptions, next } = await json(`${control("subscriptions")}?${query}`, { signal })
      this.after = next
      this.draw([...known, ...subscriptions])
    } catch (error) {
      if (isGivenUp(error) || signal.aborted) return
      return this.cannot(trouble(error.message, () => this.begin()))
    }
    if (this.isFresh) this.look()
  }

  look() {
    this.timer = setTimeout(() => {
      if (!this.isShown) return
      if (document.hidden || this.list.contains(document.activeElement)) this.look()
      else this.begin()
    }, LOOK_MS)
  }

  cannot(text) {
    say(this.state, "")
    fill(this.more)
    fill(this.place, text)
  }

  draw(subscriptions) {
    this.isFresh = !this.after && subscriptions.length <= FRESH
    if (!subscriptions.length && !this.after) return this.cannot(empty("There are no subscriptions."))
    const columns = COLUMNS.filter(([title]) => title !== "Prefix" || subscriptions.some(({ prefix }) => prefix))
    const head = columns.map(([title]) => el("th", { scope: "col" }, title))
    const rows = subscriptions.map((one) => el("tr", {}, columns.map(([, cell]) => el("td", {}, cell(one) || ""))))
    say(this.state, `${counted(subscriptions.length, "subscription")} loaded. ${this.after ? "There may be more." : "That is all."}`)
    const table = el("table", { class: "wide" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows))
    fill(this.place, el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Table of subscriptions" }, table))
    fill(this.more, this.after && button("Load more", () => this.load(subscriptions)))
  }
}
