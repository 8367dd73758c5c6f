// A chat that stops, resumes and never spins: node server.mjs
//
// The guide is host/docs/chat.md. The browser reads from the stream server, and this server only writes,
// so every reader sees how an answer ended, even if this process is killed.
//
// Environment: PORT (8080), STREAMS (http://127.0.0.1:4437/v1/stream), LEASE_SECS (10), and with access
// control STREAMS_SECRET, the stream server's `auth_hs256_secret`.
import { DurableStream } from "@durable-streams/client"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { create, write } from "./answer.mjs"
import { model } from "./model.mjs"
import { authorization } from "./tokens.mjs"

const streams = process.env.STREAMS ?? "http://127.0.0.1:4437/v1/stream"
const lease = Number(process.env.LEASE_SECS ?? 10)
const secret = process.env.STREAMS_SECRET
const contentType = "application/json"
/** Request fields of this server, which writes every chat. */
const headers = authorization(secret, "read write", "chats")

const file = (name, type) => ({ body: readFileSync(new URL(name, import.meta.url)), type })
const files = {
  "/": file("page.html", "text/html; charset=utf-8"),
  "/page.mjs": file("page.mjs", "text/javascript"),
  "/client.mjs": file(import.meta.resolve("@durable-streams/client"), "text/javascript"),
}

/** Makes a chat if it is new. Returns the URL of its questions, and the tokens for a viewer. */
async function open(chat) {
  const url = `${streams}/chats/${chat}`
  await DurableStream.create({ url, contentType, headers })
  return {
    url,
    read: authorization(secret, "read", `chats/${chat}`),
    // `close` is the right to stop an answer, and no other right to write.
    stop: authorization(secret, "read close", `chats/${chat}/answers`),
  }
}

/** Begins an answer, and puts the question into the chat. */
async function ask(chat, question) {
  const name = `answers/${randomUUID()}`
  const url = `${streams}/chats/${chat}/${name}`
  await create({ url, headers, lease })
  const questions = new DurableStream({ url: `${streams}/chats/${chat}`, contentType, headers })
  await questions.append(JSON.stringify({ question, answer: name }))
  write({ url, headers, lease, model, prompt: question }).then(
    (reason) => console.log(`${name}: ${reason}`),
    (error) => console.log(`${name}: ${error.message}`),
  )
}

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://localhost")
  const [, chat] = pathname.match(/^\/chats\/([\w-]{1,64})$/) ?? []
  if (request.method === "GET" && pathname in files) {
    const { body, type } = files[pathname]
    response.writeHead(200, { "content-type": type }).end(body)
  } else if (request.method === "PUT" && chat) {
    response.writeHead(200, { "content-type": contentType }).end(JSON.stringify(await open(chat)))
  } else if (request.method === "POST" && chat) {
    await ask(chat, await text(request))
    response.writeHead(202).end()
  } else {
    response.writeHead(404).end()
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(error.message))
})
server.listen(process.env.PORT ?? 8080, "127.0.0.1", () => {
  console.log(`chat on http://127.0.0.1:${server.address().port}/`)
})
