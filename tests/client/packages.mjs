// The packages that the protocol's authors build on it, against a server: node packages.mjs BASE_URL
//
// Two people write a document through the Yjs server, which makes snapshots and later reads on from
// the last snapshot. A database of rows follows a stream. The AI SDK's transport stores and follows the
// answer of a language model.
import { createDurableChatTransport, toDurableStreamResponse } from "@durable-streams/aisdk-transport"
import { DurableStream } from "@durable-streams/client"
import { createStateSchema } from "@durable-streams/state"
import { createStreamDB } from "@durable-streams/state/db"
import { YjsProvider } from "@durable-streams/y-durable-streams"
import { YjsServer } from "@durable-streams/y-durable-streams/server"
import { readUIMessageStream } from "ai"
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import { setTimeout as after } from "node:timers/promises"
import { Awareness } from "y-protocols/awareness"
import * as Y from "yjs"
import { claim, finish } from "./claims.mjs"

const [, , base] = process.argv
if (!base) {
  console.error("usage: node packages.mjs BASE_URL")
  process.exit(2)
}

/** Longest wait for a condition that must hold in the end. */
const PATIENCE_MS = 60_000

/** Waits for `holds`. Returns whether it holds within the patience. */
async function comes(holds) {
  const end = Date.now() + PATIENCE_MS
  while (!holds()) {
    if (Date.now() > end) return false
    await after(10)
  }
  return true
}

const EDITS = 300
/** Bytes of edits after which the Yjs server makes a snapshot. */
const SNAPSHOT_BYTES = 20_000

async function documents() {
  const options = { port: 0, dsServerUrl: base, compactionThreshold: SNAPSHOT_BYTES }
  const errors = []
  const docId = randomUUID()
  const begin = async () => {
    const server = new YjsServer(options)
    await server.start()
    return server
  }
  const open = (server, liveMode) => {
    const doc = new Y.Doc()
    const awareness = new Awareness(doc)
    const baseUrl = `${server.url}/v1/yjs/check`
    const provider = new YjsProvider({ doc, baseUrl, docId, awareness, liveMode })
    provider.on("error", (error) => errors.push(error.message))
    return { doc, awareness, provider, text: doc.getText("text"), rows: doc.getMap("rows") }
  }
  const same = (one, other) =>
    one.rows.size === EDITS && other.rows.size === EDITS && `${one.text}` === `${other.text}`

  let server = await begin()
  const [one, two] = [open(server, "sse"), open(server, "long-poll")]
  const ready = await comes(() => one.provider.synced && two.provider.synced)
  claim("two people open a document, by SSE and by long-poll", ready)
  for (let edit = 0; edit < EDITS; edit += 1) {
    one.text.insert(0, `${edit} `.repeat(10))
    two.rows.set(`row ${edit}`, "x".repeat(50))
    if (edit % 10 === 0) await after(1)
  }
  claim("they see what the other wrote", await comes(() => same(one, two)))
  one.awareness.setLocalState({ name: "one" })
  const present = () => [...two.awareness.getStates().values()].some((state) => state.name === "one")
  claim("and that the other is there", await comes(present))
  const late = open(server, "sse")
  claim("whoever comes late begins with a snapshot, and has everything", await comes(() => same(one, late)))
  for (const { provider } of [one, two, late]) provider.destroy()
  await server.stop()
  server = await begin()
  const next = open(server, "sse")
  claim("so has a Yjs server that was started anew", await comes(() => same(one, next)))
  next.provider.destroy()
  await server.stop()
  claim("no provider had an error", errors.length === 0, errors.join("; "))
}

async function rows(live) {
  const anything = { "~standard": { version: 1, vendor: "check", validate: (value) => ({ value }) } }
  const state = createStateSchema({ users: { schema: anything, type: "user", primaryKey: "id" } })
  const streamOptions = { url: `${base}/v1/stream/${randomUUID()}`, contentType: "application/json" }
  const stream = await DurableStream.create(streamOptions)
  const tell = (event) => stream.append(JSON.stringify(event))
  for (let id = 0; id < 50; id += 1) await tell(state.users.insert({ value: { id: `${id}`, age: id } }))
  const db = createStreamDB({ streamOptions, live, state })
  await db.preload()
  const { users } = db.collections
  claim(`a database has what its stream had, live ${live}`, users.size === 50, `${users.size} rows`)
  const [value, oldValue] = [{ id: "7", age: 70 }, { id: "7", age: 7 }]
  await tell(state.users.update({ value, oldValue, headers: { txid: "one" } }))
  await tell(state.users.delete({ key: "8" }))
  await db.utils.awaitTxId("one", PATIENCE_MS)
  claim(`and what is changed, live ${live}`, (await comes(() => users.size === 49)) && users.get("7").age === 70)
  db.close()
}

async function chat() {
  const words = Array.from({ length: 200 }, (_, number) => `${number} `)
  async function* source() {
    yield { type: "start" }
    yield { type: "text-start", id: "1" }
    for (const delta of words) {
      yield { type: "text-delta", id: "1", delta }
      await after(1)
    }
    yield { type: "text-end", id: "1" }
    yield { type: "finish" }
  }
  const answer = async (_, response) => {
    const stream = { writeUrl: `${base}/v1/stream/${randomUUID()}` }
    const made = await toDurableStreamResponse({ source: source(), stream })
    response.writeHead(made.status, Object.fromEntries(made.headers)).end(await made.text())
  }
  const web = createServer(answer)
  await new Promise((resolve) => web.listen(0, "127.0.0.1", resolve))
  const transport = createDurableChatTransport({ api: `http://127.0.0.1:${web.address().port}/chat` })
  const stream = await transport.sendMessages({ chatId: "chat", messages: [], trigger: "submit-message" })
  let last
  for await (const message of readUIMessageStream({ stream })) last = message
  const text = last.parts.filter((part) => part.type === "text").map((part) => part.text)
  claim("a chat follows a model's answer to its end", text.join("") === words.join(""))
  web.close()
}

for (const check of [documents, () => rows("sse"), () => rows("long-poll"), chat]) {
  await check().catch((error) => claim("the check ran to its end", false, error.stack))
}
finish()
