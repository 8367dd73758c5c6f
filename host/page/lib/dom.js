// Elements. Every text goes through text nodes, so no content is ever parsed as HTML.

/**
 * Creates an element. Attributes that begin with `on` are listeners; `true` is an empty attribute, and
 * `false`, `null` and `undefined` leave it out. Children are nodes or text.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== false && value != null) element.setAttribute(name, value)
  }
  fill(element, ...children)
  return element
}

/** Replaces the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child != null && child !== false))
  return element
}

/** Sets the text of an element, if it differs: equal text must not be announced again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/** Characters that turn or hide the text around them. */
const DECEPTIVE = /[\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/

/**
 * Shows a name that others chose. Its direction does not leak into its surroundings, and characters
 * that turn or hide text are shown by their numbers.
 */
export function named(text) {
  if (!DECEPTIVE.test(text)) return el("bdi", { class: "name" }, text)
  const parts = text.split(new RegExp(`(${DECEPTIVE.source})`))
  const shown = parts.filter(Boolean).map((part) => {
    if (!DECEPTIVE.test(part)) return part
    const number = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")
    return el("span", { class: "deceptive" }, `U+${number}`)
  })
  return el("bdi", { class: "name" }, ...shown)
}

/** A button with a text. */
export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text)
}

let last = 0

/** A new id. */
export const newId = (kind) => `${kind}-${(last += 1)}`
