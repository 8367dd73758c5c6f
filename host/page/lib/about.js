// The server's description of itself. A server without it counts as one without extensions.

import { control, json } from "./api.js"

let known = null
let asking = null

/** Asks the server for its description, once for a successful answer. */
export async function describeServer() {
  if (known) return known
  asking ??= look().finally(() => (asking = null))
  known = await asking
  return known
}

async function look() {
  try {
    return await json(control())
  } catch (error) {
    // A standard server has no such resource. Any other failure passes.
    if (error.status !== 404 && error.status !== 405 && error.status !== 400) throw error
    return { server: "", version: "", extensions: [], limits: {}, access_control: false, registry: false }
  }
}

/** Whether the server has an extension, as far as its description is known. */
export const has = (extension) => known?.extensions?.includes(extension) ?? false

/** Forgets the description, so that a server that was replaced is asked again. */
export const forgetServer = () => (known = null)
