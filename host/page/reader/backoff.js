// Pauses between attempts.

const FIRST_MS = 500
const LONGEST_MS = 15_000
/** Longest pause that a server may ask for. */
const ASKED_MS = 60_000

/** Pauses that double, with a part by chance so that many tabs do not return at once. */
export class Backoff {
  constructor() {
    this.attempts = 0
  }

  /** The next pause in milliseconds, at least as long as `Retry-After` says. */
  next(headers) {
    const own = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.attempts)
    this.attempts += 1
    const asked = Number(headers?.get("retry-after") ?? 0) * 1000
    return Math.max(own * (0.75 + Math.random() / 4), Math.min(asked || 0, ASKED_MS))
  }

  /** Begins anew after a success. */
  reset() {
    this.attempts = 0
  }
}

/** Waits, and calls `tell` with the whole seconds that are left. Ends early if `signal` is aborted. */
export function wait(ms, signal, tell) {
  const end = performance.now() + ms
  return new Promise((resolve) => {
    const look = () => {
      const left = end - performance.now()
      if (left > 0 && !signal.aborted) return tell(Math.ceil(left / 1000))
      clearInterval(timer)
      signal.removeEventListener("abort", look)
      resolve()
    }
    const timer = setInterval(look, 100)
    signal.addEventListener("abort", look)
    look()
  })
}
