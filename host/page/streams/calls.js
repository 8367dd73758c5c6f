// Calls that create, change and describe streams.

import { call, control, describedAt, json, pathOf } from "../lib/api.js"
import { has } from "../lib/about.js"

/**
 * The description of a stream: an entry of the list with its producers. Of a server without
 * descriptions, only the fields that `HEAD` tells.
 */
export async function describe(name, signal) {
  if (has("listing")) return json(describedAt(name), { signal })
  const { headers } = await call(pathOf(name), { method: "HEAD", signal })
  const number = (field) => (headers.has(field) ? Number(headers.get(field)) : undefined)
  return {
    name,
    content_type: headers.get("content-type") ?? "",
    next_offset: headers.get("stream-next-offset") ?? "",
    closed: headers.get("stream-closed") === "true",
    closed_reason: headers.get("stream-closed-reason") ?? undefined,
    lease_secs: number("stream-lease"),
    lease_remaining_secs: number("stream-lease-remaining"),
    ttl_secs: number("stream-ttl"),
    expires_at: headers.get("stream-expires-at") ?? undefined,
  }
}

/** Creates a stream. Absent properties are left to the server. */
export function create(name, { type, ttl, lease, content, source, offset }) {
  const headers = {
    ...(type && { "content-type": type }),
    ...(ttl && { "stream-ttl": ttl }),
    ...(lease && { "stream-lease": lease }),
    ...(source && { "stream-forked-from": pathOf(source) }),
    ...(offset && { "stream-fork-offset": offset }),
  }
  // Without a type of its own the browser would name one for a text.
  const body = content ? new Blob([content]) : undefined
  return call(pathOf(name), { method: "PUT", headers, body })
}

/** Appends content, a text or a file. */
export function append(name, type, content) {
  const body = new Blob([content])
  return call(pathOf(name), { method: "POST", headers: { "content-type": type }, body })
}

/** Closes a stream, for a reason if one is given. */
export function close(name, reason) {
  const headers = { "stream-closed": "true", ...(reason && { "stream-closed-reason": reason }) }
  return call(pathOf(name), { method: "POST", headers })
}

/** Deletes a stream. */
export const remove = (name) => call(pathOf(name), { method: "DELETE" })

/** The names of a stream's forks, page by page. */
export async function* forksOf(name, signal) {
  let after
  do {
    const query = new URLSearchParams({ forked_from: name, limit: 1000, ...(after && { after }) })
    const { streams, next } = await json(`${control("streams")}?${query}`, { signal })
    yield streams
    after = next
  } while (after)
}
