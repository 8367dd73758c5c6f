// Server-sent events from the bytes of a response.

/** Splits text into lines, and lines into events. */
export class Events {
  constructor() {
    this.decoder = new TextDecoder()
    this.rest = ""
    this.type = ""
    this.data = []
  }

  /** The events that end within these bytes, each with its type and data. */
  push(bytes) {
    const text = this.rest + this.decoder.decode(bytes, { stream: true })
    const events = []
    let start = 0
    for (;;) {
      const end = text.indexOf("\n", start)
      if (end < 0) break
      const event = this.line(text.slice(start, text[end - 1] === "\r" && end > start ? end - 1 : end))
      if (event) events.push(event)
      start = end + 1
    }
    this.rest = text.slice(start)
    return events
  }

  /** Takes a line. An empty one ends an event. */
  line(line) {
    if (line) {
      const colon = line.indexOf(":")
      const name = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
      if (name === "data") this.data.push(value)
      else if (name === "event") this.type = value
      return null
    }
    const event = { type: this.type || "message", data: this.data.join("\n") }
    const isEvent = this.data.length > 0
    this.type = ""
    this.data = []
    return isEvent ? event : null
  }
}
