// The token of this tab. The browser forgets it when the tab is closed.

const KEY = "ds-token"
const watchers = new Set()

/** The token, or an empty text. */
export const token = () => sessionStorage.getItem(KEY) ?? ""

/** Characters that a token may have in the field `Authorization`. */
const TOKEN = /^[!-~]*$/

/** Keeps a token for this tab; an empty one is forgotten. Throws if it can't be sent. */
export function keepToken(text) {
  if (!TOKEN.test(text)) throw new Error("A token has only letters, digits and punctuation, without spaces.")
  if (text) sessionStorage.setItem(KEY, text)
  else sessionStorage.removeItem(KEY)
}

/** Header fields of every request. */
export const credentials = () => (token() ? { authorization: `Bearer ${token()}` } : {})

/** Calls `watcher` with a failure for every 401. */
export const onRefused = (watcher) => watchers.add(watcher)

/** Tells that the server wants another token. */
export const refused = (failure) => watchers.forEach((watcher) => watcher(failure))
