// The part of the URL behind #: a view, its subject, and its settings.
//
//   #/streams?q=chats&match=contains    #/stream/chats%2F7?view=json&from=last&at=100
//   #/subscriptions    #/subscription/ID    #/server

/** Reads the present route. */
export function route(hash = location.hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?")
  const [view, subject] = path.split("/")
  return { view: view || "streams", subject: decoded(subject ?? ""), settings: new URLSearchParams(query ?? "") }
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The link to a view. */
export function link(view, subject = "", settings = {}) {
  const query = new URLSearchParams(settings).toString()
  const path = subject ? `${view}/${encodeURIComponent(subject.toWellFormed())}` : view
  return `#/${path}${query ? `?${query}` : ""}`
}

/** Replaces the settings of the present route without a new entry in the history. */
export function keepSettings(settings) {
  const { view, subject } = route()
  history.replaceState(null, "", link(view, subject, settings))
}
