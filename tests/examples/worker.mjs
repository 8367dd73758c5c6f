// A worker on a pull-wake subscription: node worker.mjs BASE_URL PATTERN
//
// The subscription appends an event to its wake stream when a stream that matches the pattern has new
// messages. The worker follows the wake stream, claims the work, reads the pending messages, and acks
// them. Several workers may run: one of them gets each claim.
import { DurableStream, stream } from "@durable-streams/client"

const [base, pattern] = process.argv.slice(2)
const wakes = `${base}/workers/wakes`
const subscription = `${base}/__ds/subscriptions/${pattern.replace(/[^a-z0-9]/gi, "-")}`

async function call(method, url, body, token) {
  const headers = { "content-type": "application/json" }
  if (token) headers.authorization = `Bearer ${token}`
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : undefined }
}

await DurableStream.create({ url: wakes, contentType: "application/json" })
await call("PUT", subscription, { type: "pull-wake", pattern, wake_stream: "workers/wakes" })
console.log("ready")

async function work() {
  const claim = await call("POST", `${subscription}/claim`, { worker: `worker-${process.pid}` })
  // 409: there is nothing to do, or another worker has the lease.
  if (claim.status !== 200) return
  const { wake_id, generation, token, streams } = claim.body
  const acks = []
  for (const one of streams.filter((one) => one.has_pending)) {
    const response = await stream({ url: `${base}/${one.path}`, offset: one.acked_offset, live: false })
    for (const item of await response.json()) console.log(`${one.path}: ${JSON.stringify(item)}`)
    acks.push({ stream: one.path, offset: response.offset })
  }
  await call("POST", `${subscription}/ack`, { wake_id, generation, acks, done: true }, token)
}

const events = await stream({ url: wakes, offset: "now", live: true })
events.subscribeJson(work)
await work()
