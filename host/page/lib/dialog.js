// Modal dialogs with a form.

import { button, el, fill, newId } from "./dom.js"

/** A labelled field. `hint` is a sentence below it. */
export function field(label, control, hint) {
  const id = newId("field")
  control.id = id
  const below = hint && el("p", { class: "hint", id: `${id}-hint` }, hint)
  if (below) control.setAttribute("aria-describedby", below.id)
  return el("div", { class: "field" }, el("label", { for: id }, label), control, below)
}

/**
 * Opens a dialog. `run` is called with the form's data when it is sent; the dialog closes when that
 * succeeds, and shows the failure otherwise. Resolves with the result of `run`, or with undefined if the
 * dialog was cancelled.
 */
export function ask({ title, body = [], action, run, danger = false, wide = false }) {
  const heading = newId("title")
  const failure = el("p", { class: "failure", role: "alert" })
  const cancel = button("Cancel", () => dialog.close())
  const confirm = action && el("button", { class: danger ? "danger" : "primary" }, action)
  const form = el(
    "form",
    { method: "dialog", novalidate: true },
    el("h2", { id: heading }, title),
    ...body,
    failure,
    el("div", { class: "buttons" }, cancel, confirm),
  )
  const dialog = el("dialog", { "aria-labelledby": heading, class: wide ? "wide" : null }, form)
  if (!action) fill(cancel, "Close")
  document.body.append(dialog)
  return new Promise((resolve) => {
    let result
    form.addEventListener("submit", async (event) => {
      event.preventDefault()
      if (!confirm || confirm.disabled) return
      confirm.disabled = true
      failure.textContent = ""
      try {
        result = await run(new FormData(form))
        dialog.close()
      } catch (error) {
        failure.textContent = error.message
        confirm.disabled = false
      }
    })
    dialog.addEventListener("close", () => {
      dialog.remove()
      resolve(result)
    })
    dialog.showModal()
    // A dialog that destroys something begins at the button that does not.
    if (danger) cancel.focus()
  })
}
