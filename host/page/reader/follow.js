// Follows a stream: pages up to its tail, then live, until it is closed.
//
// A tab has at most one live connection for it, and none while it is hidden or paused. After any cut it
// goes on from the last offset, so every byte is shown once and in order.

import { Failure, lost } from "../lib/problem.js"
import { refused } from "../lib/session.js"
import { Backoff, wait } from "./backoff.js"
import { NoEvents, readEvents, readPage } from "./requests.js"

/** Bytes that are read before the reader is asked whether to go on. */
const BUDGET = 16 * 1024 * 1024
/** An SSE response that ends sooner than this, without data, counts as a failure. */
const SHORT_MS = 1000

/**
 * Follows one stream. `isExact()` tells whether the next bytes are needed as they are: events of text
 * change line ends and parts of characters. `take(data, position)` gets a page of bytes, or a list of the data of events, and
 * may return a promise. `tell(state)` gets the state of the connection: `phase`, and for some phases
 * `secs`, `text` or `reason`.
 */
export class Follower {
  constructor({ name, start, isExact, take, tell }) {
    Object.assign(this, { name, start, isExact, take, tell })
    this.left = BUDGET
    this.upToDate = false
    this.backoff = new Backoff()
    this.isPaused = false
    this.isOver = false
    this.onvisible = () => this.turn()
    document.addEventListener("visibilitychange", this.onvisible)
    this.turn()
  }

  /** The offset after all that was taken; undefined before the first page. */
  get offset() {
    return this.start.offset
  }

  pause() {
    this.isPaused = true
    this.turn()
  }

  /** Goes on after a pause, or beyond the budget. */
  resume() {
    this.isPaused = false
    this.left = BUDGET
    this.turn()
  }

  close() {
    this.isOver = true
    document.removeEventListener("visibilitychange", this.onvisible)
    this.running?.abort()
  }

  /** Begins or ends the connection, as the state of the tab asks. */
  turn() {
    this.running?.abort()
    this.running = null
    if (this.isOver) return
    if (this.isPaused) return this.tell({ phase: "paused" })
    if (this.left <= 0) return this.tell({ phase: "full" })
    if (document.hidden) return this.tell({ phase: "hidden" })
    this.running = new AbortController()
    this.run(this.running.signal)
  }

  async run(signal) {
    this.tell({ phase: this.upToDate ? "connecting" : "reading" })
    while (!signal.aborted && !this.isOver) {
      try {
        if (this.upToDate) await this.live(signal)
        else await this.page(signal)
        this.backoff.reset()
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof NoEvents) {
          this.hasNoEvents = true
          continue
        }
        if (await this.failed(lost(error), signal)) return
      }
    }
  }

  /** Reads one page before the tail. */
  async page(signal) {
    const { bytes, ...position } = await readPage(this.name, this.start, { signal })
    if (signal.aborted) return
    this.left -= bytes.length
    await this.took(bytes, position)
    if (!signal.aborted && !this.upToDate && this.left <= 0) this.turn()
  }

  async live(signal) {
    if (this.hasNoEvents || this.isExact()) return this.poll(signal)
    const began = performance.now()
    let taken = 0
    await readEvents(this.name, this.start.offset, {
      signal,
      take: async (data, position) => {
        if (signal.aborted) return
        this.tell({ phase: "live", by: "SSE" })
        this.backoff.reset()
        taken += 1
        await this.took(data, position)
      },
    })
    if (!taken && !signal.aborted && performance.now() - began < SHORT_MS) throw new Failure("The response ended at once")
  }

  async poll(signal) {
    this.tell({ phase: "live", by: this.hasNoEvents ? "long-poll, because SSE events do not arrive" : "long-poll" })
    const { start, cursor } = this
    const { bytes, ...position } = await readPage(this.name, start, { live: true, cursor, signal })
    if (signal.aborted) return
    await this.took(bytes, position)
  }

  async took(data, position) {
    this.start = { offset: position.offset ?? this.start.offset }
    this.cursor = position.cursor
    this.upToDate = position.upToDate
    await this.take(data, position)
    // Only a response that reaches the end of a stream says that it is closed.
    if (!position.closed) return
    this.isOver = true
    this.tell({ phase: "ended", reason: position.reason })
    this.close()
  }

  /** Handles a failure. Returns true if the stream can't be followed any longer. */
  async failed(failure, signal) {
    if (failure.status === 410 && failure.headers.get("stream-next-offset")) {
      this.start = { offset: failure.headers.get("stream-next-offset") }
      this.upToDate = false
      await this.take([], { gap: failure.message })
      return false
    }
    if (failure.status === 401) refused(failure)
    if (!failure.isPassing) {
      this.tell({ phase: "failed", text: failure.message, status: failure.status })
      this.close()
      return true
    }
    const ms = this.backoff.next(failure.headers)
    await wait(ms, signal, (secs) => this.tell({ phase: "waiting", secs, text: failure.message }))
    if (!signal.aborted) this.tell({ phase: "connecting" })
    return signal.aborted
  }
}
