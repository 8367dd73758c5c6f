// Metadata and producers of a stream.

import { has } from "../lib/about.js"
import { el, fill, named, say } from "../lib/dom.js"
import { age, bytes, count, counted, duration, time } from "../lib/format.js"
import { link } from "../lib/route.js"

/** Producers that are shown. A stream remembers at most 256 by default. */
const PRODUCERS = 256

const stamp = (text) => text && el("time", { datetime: text, title: text }, `${time(text)} (${age(text)})`)

/** Panels with the facts about a stream. */
export class Facts {
  constructor() {
    this.old = el("p", { class: "failure", role: "status" })
    this.list = el("dl", {})
    this.countdown = el("span", { class: "countdown", role: "timer" })
    this.producers = el("div", {})
    this.producersTitle = el("summary", {})
    this.element = el(
      "div",
      { class: "facts" },
      el("details", { open: true }, el("summary", {}, "Metadata"), this.old, this.list),
      el("details", { open: true }, this.producersTitle, this.producers),
    )
    this.timer = setInterval(() => this.tick(), 1000)
  }

  /** Says that the facts may have changed since. */
  stale(text) {
    say(this.old, text ? `These facts may be old. ${text}` : "")
  }

  /** Shows a description. */
  show(stream) {
    const facts = [
      ["State", stateText(stream)],
      ["Closed by", stream.closed_by && producerText(stream.closed_by)],
      ["Lease", stream.lease_secs && [`${duration(stream.lease_secs)}, `, this.countdown]],
      ["Content type", stream.content_type && el("bdi", {}, stream.content_type)],
      ["Size", stream.bytes != null && sizeText(stream)],
      ["Next offset", stream.next_offset && el("code", {}, stream.next_offset)],
      ["Created", stamp(stream.created_at)],
      ["Last write", stamp(stream.last_write_at)],
      ["Last use", stream.last_used_at && [stamp(stream.last_used_at), " by a read or a write"]],
      ["Time to live", stream.ttl_secs && `${duration(stream.ttl_secs)} after the last use. Watching it here counts as a use.`],
      ["Expires", stream.ttl_secs && !has("listing") ? "" : stamp(stream.expires_at)],
      ["Fork of", sourceOf(stream)],
      ["Forks", stream.forks > 0 && count(stream.forks)],
    ]
    const shown = facts.filter(([, value]) => value)
    fill(this.list, ...shown.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, ...[value].flat())]))
    // The server rounds up, so the end is at most a second earlier.
    this.ends = stream.lease_secs && !stream.closed ? Date.now() + stream.lease_remaining_secs * 1000 : null
    this.tick()
    this.showProducers(stream.producers)
  }

  tick() {
    if (!this.ends) return
    const left = Math.max(0, Math.ceil((this.ends - Date.now()) / 1000))
    say(this.countdown, left ? `ends in ${duration(left)}` : "has ended, the server closes the stream soon")
  }

  showProducers(producers) {
    if (!producers) {
      say(this.producersTitle, "Producers")
      return fill(this.producers, el("p", { class: "hint" }, "This server does not show the producers of a stream."))
    }
    say(this.producersTitle, `Producers (${count(producers.length)})`)
    if (!producers.length) return fill(this.producers, el("p", { class: "hint" }, "No idempotent producer has written."))
    const rows = producers.slice(0, PRODUCERS).map(({ id_hash, epoch, seq, last_used_at }) =>
      el(
        "tr",
        {},
        el("td", {}, el("code", { title: id_hash }, id_hash.slice(0, 8))),
        el("td", {}, count(epoch)),
        el("td", {}, count(seq)),
        el("td", {}, el("time", { datetime: last_used_at, title: time(last_used_at) }, age(last_used_at))),
      ),
    )
    const titles = ["Hash of id", "Epoch", "Sequence", "Last use"].map((title) => el("th", { scope: "col" }, title))
    fill(
      this.producers,
      el("table", {}, el("thead", {}, el("tr", {}, titles)), el("tbody", {}, rows)),
      el("p", { class: "hint" }, "The server stores only a hash of each id. This command shows its first digits: printf %s ID | sha256sum | head -c 8"),
    )
  }

  close() {
    clearInterval(this.timer)
  }
}

/** The state with the reason of a close, as a sentence or less. */
function stateText({ closed, closed_reason }) {
  if (!closed) return "Open"
  if (closed_reason === "lease-expired") return "Closed by the server, because the writer's lease expired (lease-expired)"
  if (closed_reason === "stopped") return "Closed by a stop button (stopped)"
  return closed_reason ? ["Closed with the reason ", el("bdi", {}, closed_reason)] : "Closed without a reason"
}

/** The append of a producer that closed the stream. */
const producerText = ({ id_hash, epoch, seq }) => [
  "producer ",
  el("code", { title: id_hash }, id_hash.slice(0, 8)),
  `, epoch ${count(epoch)}, sequence ${count(seq)}`,
]

const sizeText = (stream) =>
  `${bytes(stream.bytes)} (${counted(stream.bytes, "byte")})${stream.fork_offset ? " without the data shared with the source" : ""}`

function sourceOf({ forked_from, fork_offset }) {
  if (!fork_offset) return null
  const source = forked_from
    ? el("a", { href: link("stream", forked_from) }, named(forked_from))
    : "a stream that this token does not cover"
  return [source, " at ", el("code", {}, fork_offset)]
}
