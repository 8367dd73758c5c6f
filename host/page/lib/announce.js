// Messages for people: results of actions, also for screen readers.

import { button, el, fill } from "./dom.js"

/** How long a good result is shown. */
const SHOWN_MS = 6000

let hiding

/** Shows the result of an action. Failures stay until they are dismissed. */
export function announce(text, { failed = false } = {}) {
  const box = document.getElementById("notice")
  clearTimeout(hiding)
  box.className = failed ? "notice failed" : "notice"
  const close = () => {
    box.className = "notice"
    fill(box)
  }
  fill(box, el("span", {}, text), button("Dismiss", close, { class: "quiet" }))
  if (!failed) hiding = setTimeout(close, SHOWN_MS)
}

/** A message in the place of content that can't be shown, with a button to try again. */
export function trouble(text, again) {
  return el("div", { class: "trouble", role: "alert" }, el("p", {}, text), again && button("Try again", again))
}

/** A message in the place of content that is not there. */
export const empty = (...text) => el("p", { class: "empty" }, ...text)
