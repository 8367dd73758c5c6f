// The page: its views, and the token.

import { describeServer, forgetServer } from "./lib/about.js"
import { announce } from "./lib/announce.js"
import { ask, field } from "./lib/dialog.js"
import { el, fill, say } from "./lib/dom.js"
import { route } from "./lib/route.js"
import { keepToken, onRefused, token } from "./lib/session.js"
import { Server } from "./server/server.js"
import { Streams } from "./streams/streams.js"
import { Subscriptions } from "./subscriptions/list.js"

const streams = new Streams()
const subscriptions = new Subscriptions()
const VIEWS = { streams, stream: streams, subscriptions, subscription: subscriptions, server: new Server() }
const TITLES = { streams: "Streams", stream: "Stream", subscriptions: "Subscriptions", subscription: "Subscription", server: "Server" }

const main = document.querySelector("main")
const key = document.getElementById("token")
const version = document.getElementById("version")
let shown

function show() {
  const now = route()
  if (!Object.hasOwn(VIEWS, now.view)) now.view = "streams"
  const view = VIEWS[now.view]
  if (view !== shown) {
    shown?.hide()
    fill(main, view.element)
    shown = view
  }
  for (const anchor of document.querySelectorAll("nav a")) {
    const isHere = VIEWS[anchor.hash.slice(2)] === view
    if (isHere) anchor.setAttribute("aria-current", "page")
    else anchor.removeAttribute("aria-current")
  }
  const title = now.subject || TITLES[now.view]
  document.title = `${title} · Durable Streams`
  view.show(now)
}

let asking = null

/** Asks for a token, once at a time. */
function askToken(reason) {
  asking ??= openToken(reason).finally(() => (asking = null))
}

async function openToken(reason) {
  const input = el("input", { type: "password", name: "token", autocomplete: "off", spellcheck: "false" })
  const had = token()
  await ask({
    title: "Token",
    action: "Use this token",
    body: [
      reason && el("p", {}, reason),
      field("Token", input, "The page keeps the token until the tab is closed. Leave the field empty to use no token."),
    ].filter(Boolean),
    run: async (form) => keepToken(form.get("token").trim()),
  })
  tellToken()
  if (token() === had) return
  forgetServer()
  announce(token() ? "The page uses the token from now on." : "The page has no token now.")
  tellServer()
  shown?.again(route())
}

function tellToken() {
  say(key, token() ? "Token: set" : "Token: none")
}

async function tellServer() {
  try {
    const server = await describeServer()
    say(version, server.version ? `${server.server} ${server.version}` : "")
    key.hidden = !server.access_control && !token() && server.version !== ""
    if (server.access_control && !token()) askToken("This server has access control, so it requires a token.")
  } catch {
    // The view says so.
  }
}

key.addEventListener("click", () => askToken())
onRefused(({ message }) => {
  key.hidden = false
  askToken(token() ? `The server refuses the token. ${message}` : message)
})
addEventListener("hashchange", show)
addEventListener("unhandledrejection", ({ reason }) => announce(`The page failed: ${reason?.message ?? reason}`, { failed: true }))
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault()
  const target = main.querySelector("h1, input, a, button") ?? main
  target.focus()
})
tellToken()
tellServer()
show()
