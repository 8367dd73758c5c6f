// The list of streams: a search, its pages, and the streams that were found.

import { isGivenUp } from "../lib/api.js"
import { describeServer } from "../lib/about.js"
import { empty, trouble } from "../lib/announce.js"
import { button, el, fill, newId, say } from "../lib/dom.js"
import { count, counted } from "../lib/format.js"
import { keepSettings, link, route } from "../lib/route.js"
import { createStream } from "./actions.js"
import { Table } from "./table.js"
import { Walk } from "./walk.js"

/** Streams after which a search pauses. */
const ENOUGH = 200
/** Most streams that the tab keeps. */
const MOST = 100_000

/** The list of streams. */
export class List {
  constructor() {
    const searchId = newId("search")
    this.text = el("input", {
      id: searchId,
      type: "search",
      name: "q",
      placeholder: "Name",
      autocomplete: "off",
      spellcheck: "false",
      dir: "auto",
    })
    this.match = el(
      "select",
      { "aria-label": "Match", onchange: () => this.search() },
      el("option", { value: "begins" }, "begins with"),
      el("option", { value: "contains" }, "contains"),
    )
    this.summary = el("p", { class: "summary", role: "status" })
    this.place = el("div", { class: "place" })
    this.more = el("div", { class: "more" })
    this.table = new Table({ onsort: () => this.summarize() })
    const open = button("Open", () => this.open(), { title: "Open the stream of exactly this name" })
    const form = el(
      "form",
      { class: "search", role: "search" },
      el("label", { for: searchId, class: "unseen" }, "Name"),
      this.text,
      this.match,
      el("button", { class: "primary" }, "Find"),
      open,
    )
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      this.search()
    })
    this.text.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowDown") this.table.focus(this.table.current)
    })
    const create = button("New stream", async () => {
      const name = await createStream()
      if (!name) return
      location.hash = link("stream", name)
      this.search()
    })
    const refresh = button("Refresh", () => this.search())
    this.element = el(
      "section",
      { class: "list", "aria-label": "List of streams" },
      el("h1", { class: "unseen", tabindex: "-1" }, "Streams"),
      form,
      el("div", { class: "list-top" }, this.summary, el("div", { class: "buttons" }, create, refresh)),
      this.place,
      this.more,
    )
  }

  /** Shows the list, with the search that the URL has. */
  show() {
    const { view, settings } = route()
    if (view === "streams") {
      const [text, match] = [settings.get("q") ?? "", settings.get("match") ?? "begins"]
      if (this.walk && text === this.walk.text && match === this.walk.match) return
      this.text.value = text
      this.match.value = match === "contains" ? "contains" : "begins"
    }
    if (!this.walk || view === "streams") this.search()
  }

  open() {
    if (this.text.value) location.hash = link("stream", this.text.value)
    else this.text.focus()
  }

  /** Begins a search. */
  search() {
    const [text, match] = [this.text.value, this.match.value]
    this.walk = new Walk(text, match)
    if (route().view === "streams") keepSettings({ ...(text && { q: text }), ...(match === "contains" && { match }) })
    this.table.clear()
    fill(this.place, this.table.element)
    this.load()
  }

  /** Loads pages until there are enough new streams. */
  async load() {
    this.giveUp?.abort()
    this.giveUp = new AbortController()
    const [{ walk, table }, { signal }] = [this, this.giveUp]
    const wanted = table.streams.length + ENOUGH
    this.isLoading = true
    try {
      const server = await describeServer()
      if (signal.aborted) return
      if (!server.extensions.includes("listing")) return this.cannot(NO_LIST)
      if (!server.registry) return this.cannot(NO_REGISTRY)
      while (!walk.isDone && table.streams.length < Math.min(wanted, MOST)) {
        this.summarize()
        const found = await walk.page(signal)
        if (found.length) table.add(found)
      }
    } catch (error) {
      if (isGivenUp(error) || signal.aborted) return
      if (error.code === "REGISTRY_OFF") return this.cannot(NO_REGISTRY)
      this.isLoading = false
      this.offer("none")
      say(this.summary, "")
      const again = () => {
        if (!table.streams.length) return this.search()
        fill(this.place, table.element)
        this.load()
      }
      return fill(this.place, trouble(error.message, again))
    }
    this.isLoading = false
    this.summarize()
  }

  /** Shows that the server can't list streams. */
  cannot(text) {
    this.isLoading = false
    say(this.summary, "")
    this.offer("none")
    fill(this.place, empty(text))
  }

  stop() {
    this.giveUp?.abort()
    this.isLoading = false
    this.summarize()
  }

  summarize() {
    const { walk, table } = this
    const found = table.streams.length
    if (this.isLoading) {
      say(this.summary, `${counted(found, "stream")} found. Searching, page ${count(walk.pages + 1)}…`)
      return this.offer("stop", button("Stop the search", () => this.stop()))
    }
    if (walk.isDone && !found) {
      say(this.summary, "")
      this.offer("none")
      return fill(this.place, empty(walk.text ? "No stream matches." : "There are no streams yet. Create the first one."))
    }
    const all = walk.isDone ? "That is all." : "There may be more."
    const order = table.order ? " Only the loaded rows are sorted." : ""
    say(this.summary, `${counted(found, "stream")} loaded. ${all}${order}`)
    if (walk.isDone) return this.offer("none")
    if (found >= MOST) return this.offer("full", el("p", {}, FULL))
    const [more, every] = [button("Load more", () => this.load()), button("Load all", () => this.loadAll())]
    return this.offer("more", more, every)
  }

  /** Shows buttons below the list. Buttons that stay the same keep the focus. */
  offer(kind, ...buttons) {
    if (kind === this.offered) return
    this.offered = kind
    fill(this.more, ...buttons)
  }

  async loadAll() {
    const { walk } = this
    while (walk === this.walk && !walk.isDone && this.table.streams.length < MOST) {
      await this.load()
      if (this.giveUp.signal.aborted || !this.place.contains(this.table.element)) return
    }
  }
}

const FULL = `A tab keeps at most ${count(MOST)} rows. Search for a longer part of the name.`
const NO_LIST = "This server has no list of streams. Type the name of a stream and press Open."
const NO_REGISTRY =
  "This server keeps no list of its streams, because it runs with registry=false. Type the name of a stream and press Open."
