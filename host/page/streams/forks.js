// The forks of a stream and the sources above it, as a tree.

import { has } from "../lib/about.js"
import { isGivenUp } from "../lib/api.js"
import { button, el, fill, named } from "../lib/dom.js"
import { count, counted } from "../lib/format.js"
import { link } from "../lib/route.js"
import { describe, forksOf } from "./calls.js"
import { badge, stateOf } from "./columns.js"

/** Sources above a stream that are shown. */
const SOURCES = 32
/** Forks of one stream that are shown. */
const FORKS = 500

/** A panel with the tree. It is loaded when it is opened. */
export class Forks {
  constructor({ name, signal }) {
    Object.assign(this, { name, signal })
    this.title = el("summary", {}, "Forks")
    this.place = el("div", { class: "tree" })
    this.element = el("details", {}, this.title, this.place)
    this.element.addEventListener("toggle", () => this.element.open && !this.isLoaded && this.load())
  }

  /** Shows how many forks there are. */
  show(stream) {
    this.stream = stream
    const number = stream.forks ?? 0
    this.title.textContent = has("listing") ? `Forks (${count(number)})` : "Forks"
    if (!has("listing")) return fill(this.place, el("p", { class: "hint" }, "This server does not show the forks of a stream."))
    const isChanged = this.isLoaded && number !== this.known
    if (isChanged) this.isLoaded = false
    if (isChanged && this.element.open) this.load()
  }

  async load() {
    if (!has("listing")) return
    this.isLoaded = true
    this.known = this.stream.forks ?? 0
    fill(this.place, el("p", { class: "loading" }, "Loading…"))
    const sources = await this.sources()
    let tree = this.node(this.stream, true)
    for (const source of sources) tree = this.outer(source, tree)
    fill(this.place, el("ul", {}, tree))
  }

  /** The sources above the stream, the nearest first. */
  async sources() {
    const found = []
    let { forked_from: name, fork_offset } = this.stream
    while (fork_offset && found.length < SOURCES) {
      if (!name) {
        found.push({ note: "A source that this token does not cover" })
        break
      }
      try {
        const source = await describe(name, this.signal)
        found.push(source)
        ;({ forked_from: name, fork_offset } = source)
      } catch (error) {
        if (!isGivenUp(error)) found.push({ name, note: error.message })
        break
      }
    }
    return found
  }

  /** A source, around the part of the tree below it. */
  outer(source, below) {
    const text = source.name && el("a", { href: link("stream", source.name) }, named(source.name))
    const others = source.forks > 1 && el("span", { class: "hint" }, `and ${counted(source.forks - 1, "other fork")}`)
    const note = source.note && el("span", { class: "hint" }, source.note)
    return el("li", {}, el("div", { class: "node" }, text, source.next_offset && badge(stateOf(source)), note, others), el("ul", {}, below))
  }

  /** A stream, whose forks are loaded when they are opened. */
  node(stream, isSelf = false) {
    const below = el("ul", {})
    const row = el("div", { class: "node" })
    if (stream.forks > 0) {
      const twist = button("▸", () => this.turn(twist, stream, below), {
        class: "twist",
        "aria-expanded": "false",
        "aria-label": `${counted(stream.forks, "fork")} of ${stream.name}`,
      })
      row.append(twist)
      if (isSelf) this.turn(twist, stream, below)
    }
    const text = named(stream.name)
    row.append(isSelf ? el("strong", { "aria-current": "page" }, text) : el("a", { href: link("stream", stream.name) }, text))
    row.append(badge(stateOf(stream)))
    if (stream.fork_offset) row.append(el("span", { class: "hint" }, "at ", el("code", {}, stream.fork_offset)))
    return el("li", {}, row, below)
  }

  turn(twist, stream, below) {
    const isOpen = twist.getAttribute("aria-expanded") === "false"
    twist.setAttribute("aria-expanded", `${isOpen}`)
    twist.textContent = isOpen ? "▾" : "▸"
    below.hidden = !isOpen
    if (isOpen && !below.firstChild) this.grow(stream, below)
  }

  /** Loads the forks of a stream. The server looks through all names for them. */
  async grow(stream, below) {
    const state = el("li", { class: "loading" }, "Looking for the forks…")
    fill(below, state)
    let found = 0
    try {
      for await (const forks of forksOf(stream.name, this.signal)) {
        state.before(...forks.slice(0, FORKS - found).map((fork) => this.node(fork)))
        found += forks.length
        if (found >= Math.min(stream.forks, FORKS)) break
      }
      const rest = stream.forks - found
      if (rest <= 0) return state.remove()
      const text = found >= FORKS ? `${count(rest)} more are not shown.` : `${counted(rest, "fork")} can't be listed: this token does not cover them, or they are being created or deleted.`
      fill(state, text)
    } catch (error) {
      if (!isGivenUp(error)) fill(state, error.message)
    }
  }
}
