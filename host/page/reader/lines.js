// The messages of a stream that is not JSON: a line each, for newline-delimited JSON.

/** Characters after which a line counts as a message though it has no end. */
const LONGEST = 1024 * 1024

/** Cuts text or bytes into lines. */
export class Lines {
  constructor() {
    this.decoder = new TextDecoder()
    this.rest = ""
  }

  /** The lines that end within this data. */
  push(data) {
    const text = this.rest + (typeof data === "string" ? data : this.decoder.decode(data, { stream: true }))
    const lines = text.split("\n")
    this.rest = lines.pop()
    if (this.rest.length > LONGEST) {
      lines.push(this.rest)
      this.rest = ""
    }
    return lines.filter((line) => line.trim())
  }

  /** The line without an end, if there is one. */
  end() {
    const { rest } = this
    this.rest = ""
    return rest.trim() ? [rest] : []
  }
}
