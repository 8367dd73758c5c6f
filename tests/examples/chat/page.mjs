// Shows a chat: its questions as they are asked, and each answer as it is written. The part of the URL
// behind # is the chat's name, so every tab and device with the URL shows the same chat.
import { BackoffDefaults, createFetchWithBackoff, stream } from "/client.mjs"

/** Words for the reason with which an answer's stream was closed. */
const ENDINGS = {
  finished: "finished",
  stopped: "stopped",
  failed: "the model failed",
  "lease-expired": "the writer stopped answering",
}

const status = document.querySelector("body > output")
location.hash ||= crypto.randomUUID()
const chat = location.hash.slice(1)
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Reads a stream from `offset` until it is closed, and returns the reason. `take` gets each batch, and
 * `say` the state of the connection. Fails only if the server refuses the request.
 */
async function follow({ url, headers, offset, take, say }) {
  const lost = () => say("no connection, trying again")
  let reason
  const watched = async (input, init) => {
    // The server answers a long-poll within 25 s. A connection that died without a sign is given up.
    const signal = AbortSignal.any([init.signal, AbortSignal.timeout(40_000)])
    const response = await fetch(input, { ...init, signal })
    if (response.ok) say("")
    reason = response.headers.get("stream-closed-reason") ?? reason
    return response
  }
  const backoffOptions = { ...BackoffDefaults, maxDelay: 2000, onFailedAttempt: lost }
  const read = async () => {
    const options = { url, headers, offset, live: true, json: true, fetch: watched, backoffOptions }
    const response = await stream({ ...options, warnOnHttp: false })
    await new Promise((resolve, reject) => {
      response.subscribeJson((batch) => {
        offset = batch.offset
        take(batch)
        if (batch.streamClosed) resolve()
      })
      response.closed.catch(reject)
    })
  }
  for (;;) {
    try {
      await read()
      return reason
    } catch (error) {
      if (error.status >= 400 && error.status < 500) throw error
      // The connection broke within a response.
      lost()
      await after(1000)
    }
  }
}

/** Shows one answer, from where this tab was before it was reloaded. */
async function showAnswer(article, url, headers) {
  const [text, state, stop] = article.querySelectorAll("p, output, button")
  const say = (about) => (state.textContent = about || "writing")
  const saved = JSON.parse(sessionStorage.getItem(url)) ?? { text: "", offset: "-1" }
  const show = () => (text.textContent = saved.text)
  const take = ({ items, offset }) => {
    for (const chunk of items) {
      if (chunk.type === "text-delta") saved.text += chunk.delta
    }
    saved.offset = offset
    // Text and offset are saved together, so a reload neither repeats nor loses a word.
    sessionStorage.setItem(url, JSON.stringify(saved))
    show()
  }
  stop.onclick = () => stopAnswer(url, headers).catch((error) => say(`not stopped: ${error.message}`))
  stop.hidden = false
  say("")
  show()
  try {
    const reason = await follow({ url, headers, offset: saved.offset, take, say })
    state.textContent = ENDINGS[reason] ?? reason ?? "ended"
  } catch (error) {
    if (error.status === 410 && saved.offset !== "-1") {
      // The stream server was restored from a backup that does not have the saved offset.
      sessionStorage.removeItem(url)
      return showAnswer(article, url, headers)
    }
    state.textContent = `can't be read: ${error.message}`
  }
  stop.hidden = true
  sessionStorage.removeItem(url)
}

/** Closes the stream of an answer. Every reader sees the reason, and the writer's next append is refused. */
async function stopAnswer(url, headers) {
  const send = createFetchWithBackoff(fetch, { ...BackoffDefaults, maxRetries: 5 })
  const fields = { "stream-closed": "true", "stream-closed-reason": "stopped" }
  await send(url, { method: "POST", headers: { ...headers, ...fields } })
}

async function ask(event) {
  event.preventDefault()
  const { question } = event.target.elements
  const response = await fetch(`/chats/${chat}`, { method: "POST", body: question.value })
  status.textContent = response.ok ? "" : `not asked: ${await response.text()}`
}

async function main() {
  const response = await fetch(`/chats/${chat}`, { method: "PUT" })
  if (!response.ok) throw new Error(await response.text())
  const { url, read, stop } = await response.json()
  const form = document.querySelector("form")
  form.onsubmit = (event) => ask(event).catch((error) => (status.textContent = `not asked: ${error.message}`))
  form.querySelector("button").disabled = false
  const take = ({ items }) => {
    for (const { question, answer } of items) {
      const article = document.querySelector("template").content.firstElementChild.cloneNode(true)
      article.querySelector("h2").textContent = question
      document.querySelector("main").append(article)
      showAnswer(article, `${url}/${answer}`, stop)
    }
  }
  await follow({ url, headers: read, offset: "-1", take, say: (about) => (status.textContent = about) })
}

main().catch((error) => (status.textContent = `the chat can't be read: ${error.message}`))
