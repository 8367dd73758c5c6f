// Dialogs that change streams.

import { announce } from "../lib/announce.js"
import { has } from "../lib/about.js"
import { ask, field } from "../lib/dialog.js"
import { el, named } from "../lib/dom.js"
import { counted } from "../lib/format.js"
import { close, create, remove } from "./calls.js"

const TYPES = ["application/json", "text/plain", "application/octet-stream"]

const nameField = (value = "") =>
  field(
    "Name",
    el("input", { name: "name", required: true, value, autocomplete: "off", spellcheck: "false", dir: "auto" }),
    "A slash separates segments, as in chats/7.",
  )

const secondsField = (label, name, hint, most) =>
  field(label, el("input", { name, type: "number", min: "1", max: most, step: "1", inputmode: "numeric" }), hint)

const about = (name) => el("p", { class: "subject" }, named(name))

/** Asks for a new stream. Resolves with its name, or with undefined. */
export async function createStream() {
  const types = el("datalist", { id: "types" }, ...TYPES.map((type) => el("option", { value: type })))
  const type = el("input", { name: "type", list: "types", value: TYPES[0], autocomplete: "off", spellcheck: "false" })
  const content = el("textarea", { name: "content", rows: "3", spellcheck: "false", dir: "auto" })
  const name = await ask({
    title: "New stream",
    action: "Create",
    body: [
      nameField(),
      field("Content type", type, "With application/json, the stream holds messages. The type can't be changed later."),
      types,
      field("First content", content, "Optional."),
      secondsField("Time to live, in seconds", "ttl", "Optional. Each read or write starts the time again."),
      has("leases") &&
        secondsField("Writer's lease, in seconds", "lease", "Optional. If the writer sends nothing for this time, the server closes the stream.", "86400"),
    ].filter(Boolean),
    run: async (form) => {
      const name = form.get("name")
      const response = await create(name, {
        type: form.get("type"),
        ttl: form.get("ttl"),
        lease: form.get("lease"),
        content: form.get("content"),
      })
      announce(response.status === 201 ? "The stream was created." : "The stream existed already, with the same properties.")
      return name
    },
  })
  return name
}

/** Asks for a fork. Resolves with its name, or with undefined. */
export function forkStream(name, offset) {
  const at = el("input", { name: "offset", value: offset ?? "", autocomplete: "off", spellcheck: "false" })
  return ask({
    title: "Fork the stream",
    action: "Fork",
    body: [
      about(name),
      nameField(`${name}-fork`),
      field("At the offset", at, "The fork gets the data before this offset. Empty means the tail, and -1 an empty fork."),
    ],
    run: async (form) => {
      await create(form.get("name"), { source: name, offset: form.get("offset") || "now" })
      announce("The fork was created.")
      return form.get("name")
    },
  })
}

/** Asks for a close. Resolves with true if the stream was closed. */
export function closeStream(name) {
  const reason = el("input", { name: "reason", autocomplete: "off", spellcheck: "false", maxlength: "64", pattern: "[a-z0-9._\\-]*" })
  return ask({
    title: "Close the stream?",
    action: "Close the stream",
    danger: true,
    body: [
      about(name),
      el("p", {}, "Readers see that the stream has ended. The server refuses further appends. A close can't be undone."),
      has("close-reasons") && field("Reason", reason, "Optional: up to 64 characters of a-z, 0-9, hyphen, dot and underscore."),
    ].filter(Boolean),
    run: async (form) => {
      await close(name, form.get("reason"))
      announce("The stream is closed.")
      return true
    },
  })
}

/** Asks for a stop. Resolves with true if the stream was stopped. */
export function stopStream(name) {
  return ask({
    title: "Stop the stream?",
    action: "Stop",
    danger: true,
    body: [
      about(name),
      el("p", {}, "This closes the stream with the reason stopped. The writer learns it from its next append. A stop can't be undone."),
    ],
    run: async () => {
      await close(name, has("close-reasons") ? "stopped" : "")
      announce("The stream was stopped.")
      return true
    },
  })
}

/** Asks for a deletion. Resolves with true if the stream was deleted. */
export function deleteStream(name, forks = 0) {
  const kept = `Its ${counted(forks, "fork")} will stay. The name can't be used again until they are deleted too.`
  return ask({
    title: "Delete the stream?",
    action: "Delete",
    danger: true,
    body: [about(name), el("p", {}, "This deletes all content of the stream. It can't be undone."), forks > 0 && el("p", {}, kept)].filter(Boolean),
    run: async () => {
      await remove(name)
      announce("The stream was deleted.")
      return true
    },
  })
}
