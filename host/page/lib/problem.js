// Failures as sentences.

/** Sentences for statuses without a problem document. */
const STATUSES = {
  401: "The server requires a token.",
  403: "The token does not allow this.",
  404: "The server has nothing at this path.",
  413: "The server does not accept a body of this size.",
  429: "The server gets too many requests. Try again later.",
  502: "A proxy in front of the server got no response from it.",
  503: "The server is not available now. Try again later.",
  504: "A proxy in front of the server got no response in time.",
  507: "The server has no room left.",
}

/** A failed call. `message` is a sentence for people. */
export class Failure extends Error {
  /** `status` is 0 if there was no response. */
  constructor(message, { status = 0, code = "", headers = new Headers() } = {}) {
    super(sentence(message))
    this.status = status
    this.code = code
    this.headers = headers
  }

  /** Whether the same call may work later. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

/** The failure that a response states. */
export async function failureOf(response) {
  const { status, headers } = response
  const document = await documentOf(response)
  const inner = document?.error ?? document ?? {}
  const stated = inner.detail ?? inner.message ?? inner.title
  const own = STATUSES[status] ?? `The server answered ${status} without an explanation.`
  return new Failure(typeof stated === "string" && stated ? stated : own, {
    status,
    code: typeof inner.code === "string" ? inner.code : "",
    headers,
  })
}

async function documentOf(response) {
  if (!/[/+]json\b/.test(response.headers.get("content-type") ?? "")) return null
  try {
    const document = await response.json()
    return typeof document === "object" ? document : null
  } catch {
    return null
  }
}

/** The failure of a call that got no response. */
export function lost(error) {
  if (error instanceof Failure) return error
  if (error?.name === "TimeoutError") return new Failure("The server did not answer in time.")
  return new Failure("The server does not answer. It may be restarting, or the network is down.")
}
