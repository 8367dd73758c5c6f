// A collaborative document with Yjs: node document.mjs BASE_URL
//
// Two editors change one document at the same time. The Yjs server of the package keeps the document
// in a stream, so a third editor that opens it later gets all changes.
import { YjsProvider } from "@durable-streams/y-durable-streams"
import { YjsServer } from "@durable-streams/y-durable-streams/server"
import { setTimeout as after } from "node:timers/promises"
import * as Y from "yjs"

const [base] = process.argv.slice(2)
const server = new YjsServer({ port: 0, dsServerUrl: base })
await server.start()
const docId = `notes-${process.pid}`

function open() {
  const doc = new Y.Doc()
  const provider = new YjsProvider({ doc, baseUrl: `${server.url}/v1/yjs/example`, docId, liveMode: "sse" })
  return { doc, provider, text: doc.getText("text") }
}

async function until(holds) {
  while (!holds()) await after(10)
}

const [one, two] = [open(), open()]
await until(() => one.provider.synced && two.provider.synced)
one.text.insert(0, "Hello ")
two.text.insert(0, "world")
await until(() => one.text.length === 11 && `${one.text}` === `${two.text}`)
const late = open()
await until(() => `${late.text}` === `${one.text}`)
console.log(`all three have ${late.text.length} characters`)
for (const { provider } of [one, two, late]) await provider.destroy()
await server.stop()
process.exit(0)
