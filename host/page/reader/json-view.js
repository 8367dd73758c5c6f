// The content of a stream as JSON: a message a row, which opens to the lines of its value.

import { announce } from "../lib/announce.js"
import { ask } from "../lib/dialog.js"
import { button, el, fill, newId } from "../lib/dom.js"
import { count, counted } from "../lib/format.js"
import { Rows } from "../lib/rows.js"
import { Messages, MOST } from "./messages.js"

/** Characters of a message that its row shows. */
const PREVIEW = 500
/** Characters of a message that a dialog shows. */
const WHOLE = 256 * 1024
/** Rows that a press of Page Up or Page Down passes. */
const PAGE = 15

/** JSON messages as a tree. One row is the current one: keys act on it, and the footer is about it. */
export class JsonView {
  constructor({ onleave }) {
    this.onleave = onleave
    this.tree = newId("tree")
    this.rows = new Rows({
      rem: 1.5,
      render: (row) => this.row(row),
      key: (row) => this.keyOf(row),
      attributes: { class: "rows json mono" },
      bodyAttributes: { role: "tree", tabindex: "0", "aria-label": "Content as JSON messages", dir: "ltr" },
    })
    this.rows.body.addEventListener("keydown", (event) => this.pressed(event))
    this.footer = el("div", { class: "current" })
    this.element = el("div", { class: "json-view" }, this.rows.element, this.footer)
    this.clear()
  }

  clear() {
    this.messages = new Messages()
    this.current = null
    fill(this.footer)
    this.rows.refresh()
    this.rows.resize(0)
  }

  pushMessage(text) {
    this.messages.push(text)
  }

  note() {}

  draw() {
    const rows = this.messages.trim()
    this.rows.resize(this.messages.rows)
    if (rows && !this.isFollowing) this.rows.dropped(rows)
  }

  keyOf(row) {
    const { message, line } = this.messages.at(row)
    return `${message.number}/${line}/${message.version}`
  }

  row(row) {
    const place = this.messages.at(row)
    const { message, line } = place
    const isOpen = this.messages.isOpen(place)
    const shown = message.lines?.[line]
    const content = message.lines && line > 0 ? lineOf(shown) : [el("bdi", { class: "preview" }, message.text.slice(0, PREVIEW))]
    const element = el(
      "div",
      {
        class: `row${message.isBroken ? " broken" : ""}`,
        role: "treeitem",
        id: this.idOf(place),
        "aria-level": (shown?.depth ?? 0) + 1,
        "aria-expanded": isOpen == null ? null : `${isOpen}`,
        "aria-selected": `${this.isCurrent(place)}`,
        onclick: () => this.clicked(place),
      },
      el("span", { class: "number" }, line === 0 ? count(message.number) : ""),
      el("span", { class: `twist${isOpen == null ? " none" : ""}`, "aria-hidden": "true" }, isOpen ? "▾" : "▸"),
      ...content,
    )
    element.style.setProperty("--depth", Math.min(shown?.depth ?? 0, 24))
    return element
  }

  idOf({ message, line }) {
    return `${this.tree}-${message.number}-${line}`
  }

  isCurrent({ message, line }) {
    return this.current?.message === message && this.current.line === line
  }

  clicked(place) {
    if (getSelection().toString()) return
    this.choose(place)
    this.rows.body.focus({ preventScroll: true })
    this.toggle(place)
  }

  toggle(place) {
    this.messages.toggle(place)
    this.rows.resize(this.messages.rows)
    this.rows.draw()
    this.mark()
  }

  /** Makes a row the current one. */
  choose(place) {
    this.current = place
    this.onleave()
    this.mark()
  }

  mark() {
    if (!this.current) return
    const { message, line } = this.current
    this.rows.body.setAttribute("aria-activedescendant", this.idOf(this.current))
    for (const row of this.rows.body.children) row.setAttribute("aria-selected", `${row.id === this.idOf(this.current)}`)
    const value = line > 0 ? message.lines?.[line]?.value : undefined
    const about = `Message ${count(message.number)}, ${counted(message.text.length, "character")}`
    const broken = message.isBroken ? ". It is not JSON" : ""
    const isText = typeof value === "string"
    fill(
      this.footer,
      el("span", {}, about + broken),
      button("Copy message", () => copy(message.text)),
      button("Show as sent", () => showWhole(`Message ${count(message.number)}`, message.text)),
      isText && button("Show text", () => showWhole("Text", value)),
    )
  }

  pressed(event) {
    const row = this.current ? this.messages.rowOf(this.current.message, this.current.line) : -1
    const moves = {
      ArrowDown: row + 1,
      ArrowUp: row - 1,
      PageDown: row + PAGE,
      PageUp: row - PAGE,
      Home: 0,
      End: this.messages.rows - 1,
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !this.messages.rows) return
    if (event.key in moves) {
      event.preventDefault()
      return this.move(moves[event.key])
    }
    if (row < 0) return
    const isOpen = this.messages.isOpen(this.current)
    if (event.key === "Enter" || event.key === " ") this.toggle(this.current)
    else if (event.key === "ArrowRight") this.enter(isOpen, row)
    else if (event.key === "ArrowLeft") this.leave(isOpen, row)
    else return
    event.preventDefault()
  }

  move(row) {
    const at = Math.max(0, Math.min(this.messages.rows - 1, row))
    this.choose(this.messages.at(at))
    this.rows.reveal(at)
    this.mark()
  }

  enter(isOpen, row) {
    if (isOpen === false) this.toggle(this.current)
    else if (isOpen) this.move(row + 1)
  }

  /** Folds the value, or moves to the one around it. */
  leave(isOpen, row) {
    if (isOpen) return this.toggle(this.current)
    const { message, line } = this.current
    const depth = message.lines?.[line]?.depth ?? 0
    let up = line
    while (up > 0 && message.lines[up].depth >= depth) up -= 1
    if (up < line) this.move(row - (line - up))
  }

  get lost() {
    const { all, taken } = this.messages
    return taken > all.length ? `Only the last ${count(MOST)} messages, at most 16 MiB, are kept.` : ""
  }

  get scroller() {
    return this.rows.element
  }

  toEnd() {
    this.rows.toEnd()
  }

  get isAtEnd() {
    return this.rows.isAtEnd
  }

  close() {
    this.rows.close()
  }
}

/** The content of a line within a message. */
function lineOf({ label, kind, text }) {
  const name = label !== "" && el("bdi", { class: "label" }, `${label}:`)
  return [name, el("bdi", { class: `value ${kind === "number" ? "number-value" : kind}` }, text)].filter(Boolean)
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    announce("Copied.")
  } catch {
    announce("The browser does not allow this page to copy. Show the message and copy it by hand.", { failed: true })
  }
}

function showWhole(title, text) {
  const isCut = text.length > WHOLE
  const note = isCut && el("p", { class: "hint" }, `This shows the first ${count(WHOLE)} of ${count(text.length)} characters. Copy copies all of them.`)
  const content = el("pre", { class: "whole mono", tabindex: "0", dir: "auto" }, text.slice(0, WHOLE))
  ask({ title, wide: true, body: [note, content, button("Copy", () => copy(text))].filter(Boolean) })
}
