// The table of the streams that were found.

import { button, el, fill } from "../lib/dom.js"
import { Rows } from "../lib/rows.js"
import { COLUMNS, sort } from "./columns.js"

/** Rows that a press of Page Up or Page Down passes. */
const PAGE = 15

/** A table of streams, in the server's order or sorted by a column. */
export class Table {
  constructor({ onsort }) {
    this.streams = []
    this.order = null
    this.current = 0
    this.onsort = onsort
    this.selected = ""
    this.head = el("div", { class: "row head", role: "row", "aria-rowindex": "1" })
    this.rows = new Rows({
      rem: 2.1,
      render: (at) => this.row(at),
      key: (at) => this.streams[at],
      attributes: { role: "presentation" },
      bodyAttributes: { role: "rowgroup" },
    })
    const group = el("div", { role: "rowgroup", class: "heads" }, this.head)
    this.element = el("div", { class: "table", role: "grid", "aria-label": "Streams" }, group, this.rows.element)
    this.element.addEventListener("keydown", (event) => this.pressed(event))
    this.heads()
  }

  /** Shows other streams. */
  clear() {
    this.streams = []
    this.current = 0
    this.rows.element.scrollTop = 0
    this.rows.refresh()
    this.resize()
  }

  /** Adds streams. */
  add(streams) {
    this.streams.push(...streams)
    this.arrange()
    this.resize()
  }

  /** Marks the stream that is open. */
  select(name) {
    this.selected = name
    for (const [stream, row] of this.rows.shown) row.setAttribute("aria-selected", `${stream.name === name}`)
  }

  resize() {
    this.element.setAttribute("aria-rowcount", this.streams.length + 1)
    this.rows.resize(this.streams.length)
    this.focusable()
  }

  /** The grid is one stop of the Tab key: the row that had the focus last. */
  focusable() {
    requestAnimationFrame(() => {
      const links = this.rows.body.querySelectorAll("a")
      links.forEach((one) => one.setAttribute("tabindex", "-1"))
      const current = this.rows.shown.get(this.streams[this.current]) ?? links[0]?.closest(".row")
      current?.querySelector("a")?.setAttribute("tabindex", "0")
    })
  }

  arrange() {
    if (this.order) sort(this.streams, this.order.id, this.order.descending)
  }

  heads() {
    const cells = COLUMNS.map(({ id, title }) => {
      const isOrder = this.order?.id === id
      const direction = this.order?.descending ? "descending" : "ascending"
      const toggle = () => {
        this.order = { id, descending: isOrder ? !this.order.descending : false }
        this.heads()
        this.arrange()
        this.rows.refresh()
        this.head.querySelector(`.${id} button`).focus()
        this.onsort()
      }
      const sorted = isOrder ? direction : "none"
      return el("div", { role: "columnheader", class: `cell ${id}`, "aria-sort": sorted }, button(title, toggle))
    })
    fill(this.head, ...cells)
  }

  row(at) {
    const stream = this.streams[at]
    const cells = COLUMNS.map(({ id, cell }) => el("div", { role: "gridcell", class: `cell ${id}` }, cell(stream)))
    const isOpen = stream.name === this.selected
    const row = el("div", { class: "row", role: "row", "aria-rowindex": at + 2, "aria-selected": `${isOpen}` }, cells)
    row.addEventListener("focusin", () => {
      this.current = this.streams.indexOf(stream)
      this.focusable()
    })
    row.addEventListener("click", (event) => {
      if (event.target.closest("a") || getSelection().toString()) return
      row.querySelector("a").click()
    })
    return row
  }

  pressed(event) {
    const moves = {
      ArrowDown: this.current + 1,
      ArrowUp: this.current - 1,
      PageDown: this.current + PAGE,
      PageUp: this.current - PAGE,
      Home: 0,
      End: this.streams.length - 1,
    }
    if (!(event.key in moves) || event.target.closest(".head") || !this.streams.length) return
    event.preventDefault()
    this.focus(moves[event.key])
  }

  /** Moves the focus to the row at a place. */
  focus(at) {
    this.current = Math.max(0, Math.min(this.streams.length - 1, at))
    this.rows.reveal(this.current)
    this.rows.shown.get(this.streams[this.current])?.querySelector("a").focus()
  }
}
