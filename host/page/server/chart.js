// A chart of lines over the last minutes.

import { el, fill, say } from "../lib/dom.js"

const SVG = "http://www.w3.org/2000/svg"
const [WIDTH, HEIGHT] = [400, 120]

function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}

/** A round number at or above a value, for the top of the axis. Sizes are round in binary units. */
function roundUp(value, isBinary) {
  if (!(value > 0)) return 1
  const unit = isBinary ? 1024 ** Math.floor(Math.log2(value) / 10) : 1
  const power = unit * 10 ** Math.floor(Math.log10(value / unit))
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value)
}

/** Time that a chart shows at first, in seconds. It grows with the points up to `span`. */
const FIRST_SPAN = 120

/** Lines of one unit. `format` makes the text of a value. */
export class Chart {
  constructor({ title, lines, format, isBinary, span }) {
    Object.assign(this, { lines, format, isBinary, span })
    this.top = el("span", { class: "axis" })
    this.paths = lines.map((_, at) => svg("path", { class: `line line-${at}`, "vector-effect": "non-scaling-stroke" }))
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" })
    this.drawing.append(...this.paths)
    this.figures = lines.map(() => el("span", { class: "figure" }))
    const keys = lines.map((name, at) => el("li", {}, el("span", { class: `key key-${at}` }), el("span", {}, name), this.figures[at]))
    this.note = el("p", { class: "hint" })
    this.title = title
    this.legend = el("ul", { class: "legend" }, keys)
    this.period = el("span", { class: "period" })
    this.plot = el("div", { class: "plot" }, this.top, this.period, this.drawing)
    this.element = el("figure", { class: "chart" }, el("figcaption", {}, title), this.plot, this.legend, this.note)
  }

  /** Says in the place of the lines why there are none. */
  absent(text) {
    this.plot.hidden = true
    this.legend.hidden = true
    say(this.note, text)
  }

  /** Draws points: each a time in seconds and a value for each line, NaN where there is none. */
  draw(points, now) {
    this.plot.hidden = false
    this.legend.hidden = false
    say(this.note, "")
    const values = points.flatMap(({ values }) => values).filter(Number.isFinite)
    const most = roundUp(Math.max(0, ...values), this.isBinary)
    const age = points.length ? now - points[0].at : 0
    const span = Math.min(this.span, Math.max(FIRST_SPAN, Math.ceil(age / 60) * 60))
    say(this.period, `${span / 60} min`)
    say(this.top, this.format(most))
    const x = ({ at }) => (WIDTH * (1 - (now - at) / span)).toFixed(1)
    const y = (value) => (HEIGHT - 1 - (HEIGHT - 2) * (value / most)).toFixed(1)
    this.paths.forEach((path, line) => {
      let [shape, isOn] = ["", false]
      for (const point of points) {
        const value = point.values[line]
        const isThere = Number.isFinite(value)
        if (isThere) shape += `${isOn && !point.isGap ? "L" : "M"}${x(point)} ${y(value)}`
        isOn = isThere
      }
      path.setAttribute("d", shape)
    })
    const last = points.at(-1)?.values ?? []
    const texts = this.lines.map((_, line) => (Number.isFinite(last[line]) ? this.format(last[line]) : "–"))
    texts.forEach((text, line) => say(this.figures[line], text))
    this.drawing.setAttribute("aria-label", `${this.title}. ${this.lines.map((name, line) => `${name}: ${texts[line]}`).join(", ")}.`)
  }
}
