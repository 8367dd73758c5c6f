// An idempotent producer: node writer.mjs STREAM_URL [COUNT]
//
// Retries are safe: the server applies each append once, even if this process or the server restarts.
// The producer's name identifies the writer, so no two writers may share a name.
import { DurableStream, IdempotentProducer } from "@durable-streams/client"

const [url, count = "100"] = process.argv.slice(2)

const stream = await DurableStream.create({ url, contentType: "application/json" })
// autoClaim begins a new epoch, so that an older process with this name is fenced off.
const producer = new IdempotentProducer(stream, "writer-1", { autoClaim: true })
for (let n = 0; n < Number(count); n += 1) {
  producer.append(JSON.stringify({ n }))
}
await producer.close() // sends the rest, and closes the stream
console.log(`wrote ${count} messages`)
