// The requests that read a stream.

import { pathOf, send } from "../lib/api.js"
import { failureOf } from "../lib/problem.js"
import { Events } from "./sse.js"

/** Longest wait for the head of a response. A long-poll is answered within 25 s by default. */
const HEAD_MS = 20_000
const LONG_POLL_MS = 60_000
/** Longest silence of an SSE response. Heartbeats come each 15 s by default. */
const SILENCE_MS = 45_000
/** Longest wait for the first byte of an SSE response. A proxy that buffers sends none. */
const FIRST_BYTE_MS = 5_000

/** SSE does not work here, and a long-poll may. */
export class NoEvents extends Error {}

/** Aborts `controller` if `ms` pass before `done` is called. */
function within(ms, controller) {
  const timer = setTimeout(() => controller.abort(new DOMException("", "TimeoutError")), ms)
  return () => clearTimeout(timer)
}

/** A controller that also aborts with `signal`. */
function child(signal) {
  const controller = new AbortController()
  signal.addEventListener("abort", () => controller.abort(), { signal: controller.signal, once: true })
  if (signal.aborted) controller.abort()
  return controller
}

const query = (start, extra = {}) => new URLSearchParams({ ...start, ...extra })

/** The position that a response states. */
function position(headers) {
  return {
    offset: headers.get("stream-next-offset"),
    upToDate: headers.get("stream-up-to-date") === "true",
    closed: headers.get("stream-closed") === "true",
    reason: headers.get("stream-closed-reason") ?? "",
    cursor: headers.get("stream-cursor") ?? undefined,
    type: headers.get("content-type") ?? "",
  }
}

/**
 * Reads a page: `start` is `{ offset }` or `{ tail }`. With `live` it waits for one. Returns the bytes
 * and the position after them.
 */
export async function readPage(name, start, { live, cursor, signal }) {
  const controller = child(signal)
  const done = within(live ? LONG_POLL_MS : HEAD_MS, controller)
  const extra = { ...(live && { live: "long-poll" }), ...(cursor && { cursor }) }
  try {
    const response = await send(`${pathOf(name)}?${query(start, extra)}`, { signal: controller.signal })
    if (!response.ok) throw await failureOf(response)
    const bytes = new Uint8Array(await response.arrayBuffer())
    return { bytes, ...position(response.headers) }
  } finally {
    done()
  }
}

/**
 * Reads by SSE from an offset. Calls `take` with the data of each event and the position after it, and
 * waits for it. Returns when the server ends the response.
 */
export async function readEvents(name, offset, { signal, take }) {
  const controller = child(signal)
  let done = within(HEAD_MS, controller)
  try {
    const response = await send(`${pathOf(name)}?${query({ offset }, { live: "sse" })}`, { signal: controller.signal })
    if (!response.ok) {
      const failure = await failureOf(response)
      throw failure.status === 400 || failure.status === 406 ? new NoEvents(failure.message) : failure
    }
    if (!/^text\/event-stream\b/.test(response.headers.get("content-type") ?? "")) {
      controller.abort()
      throw new NoEvents("The response has no events.")
    }
    const isBase64 = response.headers.get("stream-sse-data-encoding") === "base64"
    const reader = response.body.getReader()
    const events = new Events()
    let isSilent = true
    let data = []
    for (;;) {
      done()
      done = within(isSilent ? FIRST_BYTE_MS : SILENCE_MS, controller)
      const read = await reader.read().catch((error) => {
        throw isSilent && !signal.aborted ? new NoEvents("No byte arrived.") : error
      })
      if (read.done) return
      isSilent = false
      done()
      for (const event of events.push(read.value)) {
        if (event.type === "data") data.push(isBase64 ? fromBase64(event.data) : event.data)
        if (event.type !== "control") continue
        await take(data, controlled(event.data))
        data = []
      }
    }
  } finally {
    done()
    controller.abort()
  }
}

/** The position that a control event states. */
function controlled(text) {
  const { streamNextOffset, upToDate, streamClosed, streamClosedReason } = JSON.parse(text)
  return {
    offset: streamNextOffset,
    upToDate: upToDate === true,
    closed: streamClosed === true,
    reason: streamClosedReason ?? "",
  }
}

function fromBase64(text) {
  const binary = atob(text.replaceAll("\n", ""))
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
