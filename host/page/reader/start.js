// The choice of where the reading begins.

import { el, newId } from "../lib/dom.js"

/** Messages, or bytes, that a stream is shown from at first. */
const LAST_MESSAGES = "100"
const LAST_BYTES = "16384"
/** Offsets are printable ASCII, such as 0000000000000000_0000000000000050. */
const OFFSET = /^[!-~]{1,256}$/

/** A small form: the last N, the start, an offset, or only what is new. */
export class Start {
  constructor({ settings, isJson, hasTail, go }) {
    this.go = go
    const unit = isJson ? "messages" : "bytes"
    const options = [
      hasTail && ["last", `Last ${unit}`],
      ["start", "The start"],
      ["offset", "An offset"],
      ["now", "Only new content"],
    ].filter(Boolean)
    const asked = settings.get("from")
    const first = hasTail ? "last" : "start"
    const chosen = options.some(([value]) => value === asked) ? asked : first
    this.usual = isJson ? LAST_MESSAGES : LAST_BYTES
    this.most = isJson ? 10_000 : 1_048_576
    this.from = el(
      "select",
      { id: newId("from") },
      ...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)),
    )
    this.at = el("input", { "aria-label": "Number or offset", autocomplete: "off", spellcheck: "false" })
    this.at.value = settings.get("at") ?? ""
    this.failure = el("span", { class: "failure", role: "alert" })
    this.element = el(
      "form",
      { class: "start" },
      el("label", { for: this.from.id }, "From"),
      this.from,
      this.at,
      el("button", {}, "Go"),
      this.failure,
    )
    this.from.addEventListener("change", () => {
      this.at.value = ""
      this.fit()
      if (this.from.value === "offset") this.at.focus()
      else this.go()
    })
    this.element.addEventListener("submit", (event) => {
      event.preventDefault()
      this.go()
    })
    this.fit()
  }

  fit() {
    const { value } = this.from
    this.at.hidden = value === "start" || value === "now"
    this.at.className = value
    if (value === "last") this.at.value ||= this.usual
  }

  /** The settings for the URL. */
  get settings() {
    const at = this.at.hidden ? "" : this.at.value.trim()
    return { from: this.from.value, ...(at && { at }) }
  }

  /** The position for the first request. None if the field is not valid, and then it says so. */
  position() {
    this.failure.textContent = ""
    const at = this.at.value.trim()
    if (this.from.value === "start") return { offset: "-1" }
    if (this.from.value === "now") return { offset: "now" }
    if (this.from.value === "last") {
      const number = Number(at)
      if (Number.isInteger(number) && number >= 1 && number <= this.most) return { tail: `${number}` }
      return this.refuse(`Enter a number from 1 to ${this.most}.`)
    }
    return OFFSET.test(at) ? { offset: at } : this.refuse("Enter an offset as the server returned it.")
  }

  refuse(text) {
    this.failure.textContent = text
    this.at.focus()
    return null
  }
}
