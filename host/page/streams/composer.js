// The form that appends to a stream.

import { announce } from "../lib/announce.js"
import { field } from "../lib/dialog.js"
import { button, el } from "../lib/dom.js"
import { append } from "./calls.js"

/** A form that appends a text or a file. It stays open, for one append after another. */
export class Composer {
  constructor({ name, type, ondone }) {
    this.text = el("textarea", { name: "content", rows: "3", spellcheck: "false", dir: "auto", class: "mono" })
    this.file = el("input", { type: "file", name: "file" })
    this.failure = el("p", { class: "failure", role: "alert" })
    this.send = el("button", { class: "primary" }, "Append")
    const isJson = /^application\/json\b/i.test(type())
    const hint = isJson ? "A JSON value, or an array of messages. Ctrl+Enter appends." : "Sent as it is. Ctrl+Enter appends."
    this.element = el(
      "form",
      { class: "composer", "aria-label": "Append" },
      field("Content to append", this.text, hint),
      field("Or a file", this.file),
      this.failure,
      el("div", { class: "buttons" }, button("Done", ondone), this.send),
    )
    this.element.addEventListener("submit", (event) => {
      event.preventDefault()
      this.append(name, type())
    })
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.element.requestSubmit()
    })
  }

  async append(name, type) {
    if (this.send.disabled) return
    this.send.disabled = true
    this.failure.textContent = ""
    try {
      await append(name, type, this.file.files[0] ?? this.text.value)
      announce("Appended.")
      this.text.value = ""
      this.file.value = ""
    } catch (error) {
      this.failure.textContent = error.message
    }
    this.send.disabled = false
    this.text.focus()
  }
}
