// Brings the content of a stream to a view, in the form that the view shows.

import { Lines } from "./lines.js"
import { split } from "./split.js"

/** Characters or bytes that wait for the next frame before the reading waits too. */
const WAITING = 2 * 1024 * 1024

/** Feeds a view once a frame, however often data arrives. */
export class Feed {
  constructor({ view, isJson, kind, drawn }) {
    Object.assign(this, { view, isJson, kind, drawn })
    this.decoder = new TextDecoder()
    this.lines = new Lines()
    this.waiting = 0
    this.messages = 0
    this.bytes = 0
  }

  /** Takes a page of bytes, or a list of data of events. Resolves when more may come. */
  take(data) {
    const parts = data instanceof Uint8Array ? [data] : data
    for (const part of parts) {
      if (!part.length) continue
      this.waiting += part.length
      this.bytes += part.length
      this.put(part)
    }
    this.soon()
    return this.waiting > WAITING ? this.frame : undefined
  }

  put(part) {
    if (this.isJson) {
      // A page is a whole array, so no character is cut.
      const messages = split(typeof part === "string" ? part : this.decoder.decode(part))
      this.messages += messages.length
      for (const message of messages) this.view.pushMessage(message)
    } else if (this.kind === "json") {
      for (const line of this.lines.push(part)) this.view.pushMessage(line)
    } else {
      this.view.push(part)
    }
  }

  /** The stream has ended. */
  end() {
    if (this.kind === "json" && !this.isJson) this.lines.end().forEach((line) => this.view.pushMessage(line))
    this.soon()
  }

  soon() {
    this.frame ??= new Promise((resolve) => {
      requestAnimationFrame(() => {
        this.frame = null
        this.waiting = 0
        this.view.draw()
        this.drawn()
        resolve()
      })
    })
  }
}
