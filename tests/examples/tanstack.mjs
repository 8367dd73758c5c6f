// A TanStack AI chat that survives a reload: node tanstack.mjs BASE_URL
//
// One stream is the whole chat. The browser asks the chat's server, and reads the stream. It is reloaded
// in the middle of an answer: the chat continues from the snapshot of its stream.
import {
  durableStreamConnection,
  ensureDurableChatSessionStream,
  materializeSnapshotFromDurableStream,
  toDurableChatSessionResponse,
} from "@durable-streams/tanstack-ai-transport"
import { ChatClient } from "@tanstack/ai-client"
import { createServer } from "node:http"
import { json } from "node:stream/consumers"
import { setTimeout as after } from "node:timers/promises"

const [base] = process.argv.slice(2)
const url = `${base}/examples/tanstack-${process.pid}`
const WORDS = 50

/** Chunks of a pretended model. A real one is called with `chat()` of `@tanstack/ai`. */
async function* answer() {
  const run = { threadId: "chat", runId: crypto.randomUUID() }
  const messageId = crypto.randomUUID()
  yield { type: "RUN_STARTED", ...run }
  yield { type: "TEXT_MESSAGE_START", messageId, role: "assistant" }
  for (let word = 1; word <= WORDS; word += 1) {
    yield { type: "TEXT_MESSAGE_CONTENT", messageId, delta: `${word} ` }
    await after(10)
  }
  yield { type: "TEXT_MESSAGE_END", messageId }
  yield { type: "RUN_FINISHED", ...run, finishReason: "stop" }
}

const server = createServer(async (request, response) => {
  const { messages } = await json(request)
  const made = await toDurableChatSessionResponse({
    stream: { writeUrl: url },
    newMessages: messages.slice(-1),
    responseStream: answer(),
  })
  response.writeHead(made.status).end()
})
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
const sendUrl = `http://127.0.0.1:${server.address().port}/`

/** Loads the chat, as a browser does. `useChat` of TanStack AI takes the same options. */
async function load() {
  const { messages, offset } = await materializeSnapshotFromDurableStream({ readUrl: url })
  const connection = durableStreamConnection({ sendUrl, readUrl: url, initialOffset: offset })
  const client = new ChatClient({ connection, initialMessages: messages })
  client.subscribe()
  return client
}

/** Returns the words of the answer. */
const words = (client) => {
  const answers = client.getMessages().filter((message) => message.role === "assistant")
  const parts = answers.flatMap((message) => message.parts)
  return parts.map((part) => part.content).join("").trim().split(" ")
}

async function until(holds) {
  while (!holds()) await after(10)
}

await ensureDurableChatSessionStream({ writeUrl: url })
const first = await load()
first.sendMessage("count")
await until(() => words(first).length >= 10)
first.unsubscribe()
const second = await load()
await until(() => words(second).at(-1) === `${WORDS}`)
const all = words(second)
const inOrder = all.every((word, at) => word === `${at + 1}`)
console.log(`the reloaded chat has ${all.length} words, ${inOrder ? "in order" : all.join(" ")}`)
process.exit(0)
