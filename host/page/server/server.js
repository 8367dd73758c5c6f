// The view of the server: charts, its description and its limits.

import { describeServer, forgetServer } from "../lib/about.js"
import { call } from "../lib/api.js"
import { trouble } from "../lib/announce.js"
import { el, fill, say } from "../lib/dom.js"
import { count, duration } from "../lib/format.js"
import { Chart } from "./chart.js"
import { CHARTS } from "./charts.js"
import { Scrape } from "./metrics.js"

/** Time between two scrapes. */
const PERIOD_MS = 2000
/** Time that a chart shows, in seconds. */
const SPAN = 600
/** Time without a scrape after which a line has a gap, in seconds. */
const GAP = 10

const NOT_YET = "The server does not have this metric yet."

/** Charts of the last ten minutes, as long as the view was open. */
export class Server {
  constructor() {
    this.charts = CHARTS.map((kind) => ({ ...kind, chart: new Chart({ ...kind, span: SPAN }), points: [] }))
    this.state = el("p", { class: "summary", role: "status" })
    this.about = el("div", { class: "about" })
    this.element = el(
      "section",
      { class: "server" },
      el("h1", { tabindex: "-1" }, "Server"),
      this.state,
      el("div", { class: "charts" }, ...this.charts.map(({ chart }) => chart.element)),
      this.about,
    )
    document.addEventListener("visibilitychange", () => this.soon(0))
  }

  show() {
    this.isShown = true
    this.describe()
    this.soon(0)
  }

  again() {
    this.show()
  }

  hide() {
    this.isShown = false
    clearTimeout(this.timer)
  }

  soon(ms) {
    clearTimeout(this.timer)
    if (this.isShown && !document.hidden) this.timer = setTimeout(() => this.scrape(), ms)
  }

  async scrape() {
    try {
      const text = await (await call("/metrics")).text()
      this.take(new Scrape(text, performance.now() / 1000))
      say(this.state, "The last ten minutes, as long as this view was open. The page reads the metrics every 2 s.")
    } catch (error) {
      say(this.state, `The charts are not updated. ${error.message}`)
    }
    this.soon(PERIOD_MS)
  }

  take(scrape) {
    const before = this.last
    this.last = scrape
    const isGap = !before || scrape.at - before.at > GAP
    for (const one of this.charts) {
      if (!scrape.has(one.needs)) {
        one.chart.absent(one.absent ?? NOT_YET)
        continue
      }
      if (before) one.points.push({ at: scrape.at, values: one.values(before, scrape), isGap })
      while (one.points.length && scrape.at - one.points[0].at > SPAN) one.points.shift()
      one.chart.draw(one.points, scrape.at)
    }
  }

  async describe() {
    try {
      forgetServer()
      const server = await describeServer()
      fill(this.about, ...(server.server ? aboutServer(server) : [el("p", { class: "empty" }, NO_DESCRIPTION)]))
    } catch (error) {
      fill(this.about, trouble(error.message, () => this.describe()))
    }
  }
}

const NO_DESCRIPTION = "This server does not describe itself: it does not have the resource __ds."

function aboutServer(server) {
  const facts = [
    ["Software", `${server.server} ${server.version}`],
    ["Protocol", server.protocol],
    ["Extensions", server.extensions.join(", ")],
    ["Access control", server.access_control ? "on" : "off: every caller can read and write every stream"],
    ["List of streams", server.registry ? "available" : "not available (registry=false)"],
    ["Timeline of the store", count(server.timeline ?? 0)],
  ]
  const limits = Object.entries(server.limits).map(([name, value]) => [words(name), limitText(name, value)])
  return [panel("About", facts), panel("Limits", limits)]
}

function panel(title, facts) {
  const list = facts.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])
  return el("section", {}, el("h2", {}, title), el("dl", {}, ...list))
}

/** The name of a limit without its unit, such as `Max append bytes`. */
const words = (name) => {
  const text = name.replace(/_(secs|ms)$/, "").replaceAll("_", " ")
  return text[0].toUpperCase() + text.slice(1)
}

function limitText(name, value) {
  if (name.endsWith("_secs")) return duration(value)
  return name.endsWith("_ms") ? `${count(value)} ms` : count(value)
}
