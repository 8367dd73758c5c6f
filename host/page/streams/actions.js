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
    "Segments are divided by /, such as chats/7.",
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
      field("Content type", type, "application/json keeps messages apart. It can't be changed later."),
      types,
      field("First content", content, "Optional."),
      secondsField("Time to live, in seconds", "ttl", "Optional. Each read and write begins it anew."),
      has("leases") &&
        secondsField("Writer's lease, in seconds", "lease", "Optional. Without an append for so long, the stream is closed.", "86400"),
    ].filter(Boolean),
    run: async (form) => {
      const name = form.get("name")
      const response = await create(name, {
        type: form.get("type"),
        ttl: form.get("ttl"),
        lease: form.get("lease"),
        content: form.get("content"),
      })
      announce(response.status === 201 ? "The stream was created." : "The stream was there already, with the same properties.")
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
      field("At the offset", at, "The fork begins with all that is before it. Empty: the tail. -1: an empty fork."),
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
      el("p", {}, "Its readers see its end. Appends are refused from then on. A close can't be undone."),
      has("close-reasons") && field("Reason", reason, "Optional: up to 64 of a-z, 0-9, hyphen, dot and underscore."),
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
      el("p", {}, "The stream is closed with the reason stopped. Its writer learns this with its next append. It can't be undone."),
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
  const kept = `It has ${counted(forks, "fork")}, which stay. Until they are deleted too, the name can't be used again.`
  return ask({
    title: "Delete the stream?",
    action: "Delete",
    danger: true,
    body: [about(name), el("p", {}, "All of its content is lost. It can't be undone."), forks > 0 && el("p", {}, kept)].filter(Boolean),
    run: async () => {
      await remove(name)
      announce("The stream was deleted.")
      return true
    },
  })
}
