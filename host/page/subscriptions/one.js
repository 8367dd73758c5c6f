// One subscription: its wake, its last deliveries, and the streams with pending content.

import { control, describedAt, isGivenUp, json } from "../lib/api.js"
import { trouble } from "../lib/announce.js"
import { button, el, fill, named, say } from "../lib/dom.js"
import { count, counted, duration, time, until } from "../lib/format.js"
import { link } from "../lib/route.js"

/** Streams that are asked for their tails, for the column of pending content. */
const ASKED = 50
/** Requests at a time for them. */
const AT_A_TIME = 4
/** Most streams that the table shows. A subscription has at most 4,096. */
const SHOWN = 500
/** Pages of the list that are searched for the phase and generation. */
const PAGES = 20

/** The view of a subscription. */
export class Subscription {
  constructor(id) {
    this.id = id
    this.over = new AbortController()
    this.heading = el("h1", { tabindex: "-1" }, named(id))
    this.facts = el("dl", {})
    this.note = el("p", { class: "hint" })
    this.streams = el("div", {})
    this.place = el("div", {})
    const back = el("a", { class: "back", href: link("subscriptions") }, "All subscriptions")
    const refresh = button("Refresh", () => this.load())
    this.element = el("article", { class: "stream subscription" }, el("header", {}, back, this.heading, refresh), this.place)
    fill(this.place, el("p", { class: "loading" }, "Loading…"))
    this.load()
  }

  async load() {
    const { signal } = this.over
    try {
      const [one, entry] = await Promise.all([json(control("subscriptions", this.id), { signal }), this.entry(signal)])
      this.draw({ ...entry, ...one })
      fill(this.place, this.facts, this.note, this.streams)
      await this.pending(one.streams.slice(0, ASKED), signal)
    } catch (error) {
      if (!isGivenUp(error)) fill(this.place, trouble(error.message, () => this.load()))
    }
  }

  /** The entry in the list. Only it has the phase, generation, lease and failures. */
  async entry(signal) {
    let after
    for (let page = 0; page < PAGES; page += 1) {
      const query = new URLSearchParams({ limit: 1000, ...(after && { after }) })
      const { subscriptions, next } = await json(`${control("subscriptions")}?${query}`, { signal })
      const found = subscriptions.find(({ id }) => id === this.id)
      if (found || !next) return found ?? {}
      after = next
    }
    return {}
  }

  draw(one) {
    const facts = [
      ["Type", one.type],
      ["Pattern", one.pattern && el("bdi", {}, one.pattern)],
      ["Description", one.description && el("bdi", {}, one.description)],
      ["Prefix of its creator", one.prefix && named(one.prefix)],
      ["Webhook", one.webhook && el("bdi", {}, one.webhook.url)],
      ["Wake stream", one.wake_stream && el("a", { href: link("stream", one.wake_stream) }, named(one.wake_stream))],
      ["Phase", one.phase],
      ["Generation", one.generation != null && count(one.generation)],
      ["Worker", one.worker && el("bdi", {}, one.worker)],
      ["Lease", one.lease_ends_at ? `${duration(one.lease_ttl_ms / 1000)}, ends ${until(one.lease_ends_at)}` : `${duration(one.lease_ttl_ms / 1000)}, no worker holds it now`],
      ["Next delivery", one.next_delivery_at && until(one.next_delivery_at)],
      ["Status", one.status],
      ["Failed deliveries", one.failures != null && `${count(one.failures)} since the last successful one`],
      ["Last error", el("span", { class: "hint" }, "The server counts failures, and does not record their reasons.")],
      ["Created", time(one.created_at)],
    ]
    fill(this.facts, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]))
    this.cells = new Map()
    const rows = one.streams.slice(0, SHOWN).map(({ path, link_type, acked_offset }) => {
      const pending = el("td", {}, "")
      this.cells.set(path, pending)
      return el(
        "tr",
        {},
        el("td", {}, el("a", { href: link("stream", path) }, named(path))),
        el("td", {}, link_type === "glob" ? "by pattern" : "by name"),
        el("td", {}, el("code", {}, acked_offset)),
        pending,
      )
    })
    const titles = ["Stream", "Linked", "Acked up to", "Pending"].map((title) => el("th", { scope: "col" }, title))
    const table = el("table", { class: "wide" }, el("thead", {}, el("tr", {}, titles)), el("tbody", {}, rows))
    const all = counted(one.streams.length, "linked stream")
    const cut = one.streams.length > SHOWN ? `, the first ${SHOWN} are shown` : ""
    const asked = one.streams.length > ASKED ? ` Pending content is shown for the first ${ASKED}.` : ""
    say(this.note, `${all}${cut}.${asked}`)
    fill(this.streams, rows.length ? el("div", { class: "sideways", tabindex: "0", role: "region", "aria-label": "Linked streams" }, table) : null)
  }

  /** Compares the tails with the acked offsets: the description of a subscription does not tell. */
  async pending(streams, signal) {
    const left = [...streams]
    const work = async () => {
      for (let one = left.shift(); one; one = left.shift()) {
        const cell = this.cells.get(one.path)
        try {
          const { next_offset } = await json(describedAt(one.path), { signal })
          say(cell, next_offset > one.acked_offset ? `up to ${next_offset}` : "none")
        } catch (error) {
          if (isGivenUp(error)) throw error
          say(cell, "not known")
          cell.title = error.message
        }
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, work))
  }

  close() {
    this.over.abort()
  }
}
