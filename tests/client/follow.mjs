// The official TypeScript client against a server: node follow.mjs BASE_URL [--seconds N]
//
// Creates a stream, appends to it as an idempotent producer for N seconds, and closes it. Meanwhile
// one reader follows by SSE and another by long-poll. Claims that each reader got every message
// exactly once, in order, and saw the end. The last line is "N passed, N failed, N skipped".
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { createHash, randomUUID } from "node:crypto"
import { setTimeout as after } from "node:timers/promises"
import { parseArgs } from "node:util"
import { claim, finish } from "./claims.mjs"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "5" } },
})
const [base] = positionals
const seconds = Number(values.seconds)
if (!base || !(seconds > 0)) {
  console.error("usage: node follow.mjs BASE_URL [--seconds N]")
  process.exit(2)
}

// A reader that misses the end of the stream would wait for ever.
const limit = AbortSignal.timeout((seconds + 60) * 1000)

/** Reads a JSON stream from its start until it is closed. */
async function followJson(url, live) {
  const counters = { requests: 0 }
  const counted = (...args) => {
    counters.requests += 1
    return fetch(...args)
  }
  const response = await stream({ url, offset: "-1", live, json: true, fetch: counted, signal: limit })
  const items = []
  let sawEnd = false
  // `closed` resolves when the client received the last response. The subscriber may get the data of
  // this response later, so the batch with `streamClosed` marks the end.
  await new Promise((resolve, reject) => {
    response.subscribeJson((batch) => {
      items.push(...batch.items)
      sawEnd ||= batch.streamClosed
      if (batch.streamClosed) resolve()
    })
    response.closed.catch(reject)
  })
  return { items, sawEnd: sawEnd || response.streamClosed, requests: counters.requests }
}

/** Reads a stream of bytes from its start until it is closed. */
async function followBytes(url, live) {
  const response = await stream({ url, offset: "-1", live, signal: limit })
  const hash = createHash("sha256")
  let length = 0
  await new Promise((resolve, reject) => {
    response.subscribeBytes((chunk) => {
      hash.update(chunk.data)
      length += chunk.data.length
      if (chunk.streamClosed) resolve()
    })
    response.closed.catch(reject)
  })
  return { digest: hash.digest("hex"), length }
}

/** Calls `append` with 0, 1, 2, ... in small bursts until the time is over. Returns the count. */
async function write(append) {
  const end = performance.now() + seconds * 1000
  let number = 0
  while (performance.now() < end) {
    for (let burst = 0; burst <= number % 7; burst += 1) append(number++)
    await after(20)
  }
  return number
}

const inOrder = (items, count) =>
  items.length === count && items.every((item, index) => item.number === index)
const path = `${base}/v1/stream/client-check/${randomUUID()}`

async function checkJson() {
  const url = `${path}/json`
  const handle = await DurableStream.create({ url, contentType: "application/json" })
  const errors = []
  const producer = new IdempotentProducer(handle, "client-check", {
    lingerMs: 5,
    onError: (error) => errors.push(error),
  })
  const readers = Promise.all([followJson(url, "sse"), followJson(url, "long-poll")])
  const count = await write((number) => producer.append(JSON.stringify({ number, text: "a\r\nb" })))
  await producer.flush()
  const { finalOffset } = await producer.close(JSON.stringify({ number: count }))
  const total = count + 1
  claim("the idempotent producer met no error", errors.length === 0, errors.join("; "))
  claim("closing tells the final offset", typeof finalOffset === "string")

  const [sse, longPoll] = await readers
  for (const [name, reader] of [["SSE", sse], ["long-poll", longPoll]]) {
    claim(
      `the ${name} reader got every message once and in order`,
      inOrder(reader.items, total),
      `${reader.items.length} of ${total}, ${reader.requests} requests`,
    )
    claim(`the ${name} reader saw the end`, reader.sawEnd)
  }
  const catchUp = await (await stream({ url, live: false, json: true })).json()
  claim("a later catch-up read gives the same messages", inOrder(catchUp, total))
  const head = await handle.head()
  claim("HEAD says that the stream is closed", head.streamClosed === true)
  claim("HEAD and the close agree on the final offset", head.offset === finalOffset)
  const refused = await handle.append("{}").then(() => null, (error) => error)
  claim("a closed stream refuses another append", refused !== null)
}

async function checkBytes() {
  const url = `${path}/bytes`
  const handle = await DurableStream.create({ url, contentType: "application/octet-stream" })
  const producer = new IdempotentProducer(handle, "client-check", { lingerMs: 5 })
  const readers = Promise.all([followBytes(url, "sse"), followBytes(url, "long-poll")])
  const hash = createHash("sha256")
  let length = 0
  await write((number) => {
    const bytes = new Uint8Array((number * 37) % 1500 + 1).map((_, at) => (at * 31 + number) & 255)
    hash.update(bytes)
    length += bytes.length
    producer.append(bytes)
  })
  await producer.flush()
  await producer.close()
  const expected = hash.digest("hex")
  const [sse, longPoll] = await readers
  claim("the SSE reader got every byte (base64)", sse.digest === expected, `${sse.length} of ${length}`)
  claim("the long-poll reader got every byte", longPoll.digest === expected, `${longPoll.length} of ${length}`)
}

const outcomes = await Promise.allSettled([checkJson(), checkBytes()])
for (const outcome of outcomes) {
  if (outcome.status === "rejected") claim("the check ran to its end", false, outcome.reason?.stack)
}
finish()
