// Rows of equal height of which only the visible ones exist.

import { el } from "./dom.js"

/** Rows beyond each edge of the visible part. */
const BEYOND = 6

/**
 * A scrolling list. `render(at)` makes the row at a place, and `key(at)` is equal for as long as that row
 * needs no change. `rem` is the height of a row in units of the page's font.
 */
export class Rows {
  constructor({ rem, render, key, attributes = {}, bodyAttributes = {} }) {
    this.rem = rem
    this.render = render
    this.key = key
    this.count = 0
    this.shown = new Map()
    this.body = el("div", { class: "rows-body", ...bodyAttributes })
    this.element = el("div", { class: "rows", ...attributes }, this.body)
    this.element.addEventListener("scroll", () => this.soon(), { passive: true })
    this.watch = new ResizeObserver(() => this.soon())
    this.watch.observe(this.element)
  }

  /** Height of a row in pixels. */
  get height() {
    return Math.round(this.rem * parseFloat(getComputedStyle(document.documentElement).fontSize))
  }

  /** Sets the number of rows, and draws them in the next frame. */
  resize(count) {
    this.count = count
    this.soon()
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null
      this.draw()
    })
  }

  /** Draws the visible rows. */
  draw() {
    const { height } = this
    const { scrollTop, clientHeight } = this.element
    const total = `${this.count * height}px`
    if (this.body.style.height !== total) this.body.style.height = total
    const first = Math.max(0, Math.floor(scrollTop / height) - BEYOND)
    const end = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / height) + BEYOND)
    const kept = new Map()
    for (let at = first; at < end; at += 1) {
      const key = this.key(at)
      const row = this.shown.get(key) ?? this.render(at)
      const top = `${at * height}px`
      if (row.style.top !== top) row.style.top = top
      if (row.style.height !== `${height}px`) row.style.height = `${height}px`
      kept.set(key, row)
    }
    for (const [key, row] of this.shown) {
      if (kept.get(key) !== row) row.remove()
    }
    // Rows that stay are in order already, so this never moves a row that has the focus.
    let next = this.body.firstChild
    for (const row of kept.values()) {
      if (row === next) next = next.nextSibling
      else this.body.insertBefore(row, next)
    }
    this.shown = kept
  }

  /** Draws every visible row anew. */
  refresh() {
    this.shown.forEach((row) => row.remove())
    this.shown.clear()
    this.soon()
  }

  /** Whether the last row is visible. */
  get isAtEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element
    return scrollTop + clientHeight >= scrollHeight - this.height
  }

  toEnd() {
    this.body.style.height = `${this.count * this.height}px`
    this.element.scrollTop = this.element.scrollHeight
  }

  /** Scrolls by as little as shows the row at a place. */
  reveal(at) {
    const { height, element } = this
    if (at * height < element.scrollTop) element.scrollTop = at * height
    const low = (at + 1) * height - element.clientHeight
    if (low > element.scrollTop) element.scrollTop = low
    this.draw()
  }

  /** Keeps the visible rows in place after `count` rows were removed before the first one. */
  dropped(count) {
    this.element.scrollTop = Math.max(0, this.element.scrollTop - count * this.height)
  }

  close() {
    this.watch.disconnect()
    cancelAnimationFrame(this.frame)
  }
}
