// The columns of the list of streams.

import { el, named } from "../lib/dom.js"
import { age, bytes, count } from "../lib/format.js"
import { link } from "../lib/route.js"

/** The last time at which a stream changed, as far as the server knows it. */
const lastUse = ({ last_write_at, last_used_at }) => last_write_at ?? last_used_at ?? ""

/** A word for the state of a stream. */
export function stateOf({ damaged, closed, closed_reason, lease_secs }) {
  if (damaged) return { word: "damaged", kind: "bad" }
  if (closed_reason === "lease-expired") return { word: "writer died", kind: "bad" }
  if (closed) return { word: closed_reason ?? "closed", kind: "ended" }
  return lease_secs ? { word: "leased", kind: "live" } : { word: "open", kind: "live" }
}

/** A state as a small label. */
export function badge({ word, kind }) {
  return el("span", { class: `badge ${kind}` }, el("bdi", {}, word))
}

/** Columns: id, title, value to sort by, and content of a cell. */
export const COLUMNS = [
  {
    id: "name",
    title: "Name",
    value: ({ name }) => name,
    cell: ({ name }) => el("a", { href: link("stream", name), title: name, tabindex: "-1" }, named(name)),
  },
  { id: "state", title: "State", value: (stream) => stateOf(stream).word, cell: (stream) => badge(stateOf(stream)) },
  {
    id: "type",
    title: "Type",
    value: ({ content_type = "" }) => content_type,
    cell: ({ content_type = "" }) => el("bdi", { title: content_type }, content_type),
  },
  { id: "size", title: "Size", value: (stream) => stream.bytes ?? -1, cell: (stream) => bytesOf(stream) },
  { id: "forks", title: "Forks", value: ({ forks = 0 }) => forks, cell: ({ forks = 0 }) => (forks ? count(forks) : "") },
  {
    id: "used",
    title: "Last use",
    value: lastUse,
    cell: (stream) => (lastUse(stream) ? age(lastUse(stream)) : ""),
  },
]

const bytesOf = (stream) => (stream.bytes == null ? "" : bytes(stream.bytes))

/** Sorts streams by a column, in place. */
export function sort(streams, id, descending) {
  const { value } = COLUMNS.find((column) => column.id === id)
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
  const sign = descending ? -1 : 1
  streams.sort((one, other) => sign * compare(value(one), value(other)))
}
