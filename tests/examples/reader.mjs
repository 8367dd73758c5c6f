// A reader that resumes: node reader.mjs STREAM_URL OFFSET_FILE
//
// The reader saves its offset in a file after each batch. After a restart it continues behind the last
// batch that it handled, so it handles each message at least once.
import { stream } from "@durable-streams/client"
import { readFileSync, writeFileSync } from "node:fs"

const [url, file] = process.argv.slice(2)

function savedOffset() {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return "-1" // from the start
  }
}

const response = await stream({ url, offset: savedOffset(), live: true })
let messages = 0
await new Promise((resolve) => {
  response.subscribeJson((batch) => {
    messages += batch.items.length
    writeFileSync(file, batch.offset)
    if (batch.streamClosed) resolve()
  })
})
console.log(`read ${messages} messages`)
process.exit(0)
