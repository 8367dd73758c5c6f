// Requests to the server.

import { Failure, failureOf, lost } from "./problem.js"
import { credentials, refused } from "./session.js"

/** The path of the protocol on the admin listener. */
const BASE = "/v1/stream"

/** Longest wait for the response to a short request. */
const PATIENCE_MS = 30_000

/** The path of a control resource. */
export const control = (...segments) => [`${BASE}/__ds`, ...segments.map(encodeURIComponent)].join("/")

/**
 * The path of a stream. Refuses names whose path the browser would rewrite, or that are no streams.
 */
export function pathOf(name) {
  const segments = name.split("/")
  if (!name) throw new Failure("Enter a name.")
  if (segments.some((segment) => segment === "." || segment === "..")) {
    throw new Failure("A name cannot have a segment . or ..")
  }
  if (segments.some((segment) => !segment)) throw new Failure("A name cannot have an empty segment")
  if (segments[0] === "__ds") throw new Failure("Names that begin with __ds are reserved")
  return [BASE, ...segments.map((segment) => encodeURIComponent(segment.toWellFormed()))].join("/")
}

/** The path of a stream's description. */
export const describedAt = (name) => pathOf(name).replace(BASE, `${BASE}/__ds/streams`)

/** A request without a time limit. The response is as the server gave it. */
export function send(path, { headers = {}, ...init } = {}) {
  return fetch(path, { ...init, headers: { ...credentials(), ...headers }, cache: "no-store" })
}

/**
 * A short request. Returns a response with a status below 300.
 *
 * Fails with a `Failure`, or with an `AbortError` if `signal` is aborted.
 */
export async function call(path, { signal, ...init } = {}) {
  const limit = AbortSignal.timeout(PATIENCE_MS)
  let response
  try {
    response = await send(path, { ...init, signal: signal ? AbortSignal.any([signal, limit]) : limit })
    if (!response.ok) throw await failureOf(response)
  } catch (error) {
    if (signal?.aborted) throw new DOMException("", "AbortError")
    const failure = lost(error)
    if (failure.status === 401) refused(failure)
    throw failure
  }
  return response
}

/** The JSON document at a path. */
export async function json(path, init) {
  const response = await call(path, init)
  try {
    return await response.json()
  } catch (error) {
    if (init?.signal?.aborted) throw new DOMException("", "AbortError")
    if (error instanceof SyntaxError) throw new Failure("The response of the server is not JSON.")
    throw lost(error)
  }
}

/** Whether an error means that the caller gave the call up. */
export const isGivenUp = (error) => error?.name === "AbortError"
