// The chat in a browser: node test.mjs HOST CHROMIUM
//
// HOST is the `durable-streams` program, and CHROMIUM the path of a Chromium. The last line is
// "N passed, N failed, N skipped".
import { randomBytes, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as after } from "node:timers/promises"
import { chromium } from "playwright-core"
import { PATIENCE_MS, startChat, startStreams } from "./programs.mjs"

const [host, executablePath] = process.argv.slice(2)
if (!executablePath) {
  console.error("usage: node test.mjs HOST CHROMIUM")
  process.exit(2)
}

/** Lease of the writer, in seconds. The answers with a pause are silent for longer. */
const LEASE_SECS = 3
/** More numbers than the model counts while a test runs. */
const ENDLESS = "count to 1000000"

const counts = { passed: 0, failed: 0 }
const directory = mkdtempSync(join(tmpdir(), "chat-"))
process.on("exit", () => rmSync(directory, { recursive: true, force: true }))
const secret = randomBytes(32).toString("hex")

let streams = await startStreams(host, { directory, secret })
const start = () => startChat({ streams: streams.url, secret, lease: LEASE_SECS })
let chat = await start()
const browser = await chromium.launch({ executablePath })

/** Runs one test, and counts its result. */
async function test(claim, run) {
  try {
    await run()
    counts.passed += 1
    console.log(`ok     ${claim}`)
  } catch (error) {
    counts.failed += 1
    console.log(`FAILED ${claim}: ${error.stack}`)
  }
}

function equal(one, other, subject) {
  if (one !== other) throw new Error(`${subject} is ${one}, and not ${other}`)
}

/** Opens a chat in a new tab of a new device, so that two of them share nothing but the URL. */
async function open(name = randomUUID()) {
  const page = await (await browser.newContext()).newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  await page.goto(`${chat.url}#${name}`)
  const answer = page.locator("article").last()
  const text = answer.locator("p")
  return {
    name,
    page,
    ask: async (question) => {
      await page.locator("input").fill(question)
      await page.locator("form button").click()
      await answer.locator("h2", { hasText: question }).waitFor()
    },
    /** Waits until the tab says this about the answer. */
    says: (words) => answer.locator("output", { hasText: words }).waitFor(),
    /** Waits until the tab shows the answer up to this number. */
    reaches: (number) => answer.locator("p", { hasText: ` ${number} ` }).waitFor(),
    text: () => text.textContent(),
    stop: () => answer.locator("button").click(),
    close: () => page.context().close(),
  }
}

/** Returns the answer that counts to this number. */
const numbers = (last) => Array.from({ length: last }, (_, at) => `${at + 1} `).join("")

/** Checks that a tab shows an answer from its first number, each once and in order. Returns the last. */
async function inOrder(tab) {
  const text = await tab.text()
  const last = text.split(" ").length - 1
  equal(text, numbers(last), "the answer")
  return last
}

await test("an answer is shown to its end", async () => {
  const tab = await open()
  await tab.ask("count to 50")
  await tab.says("finished")
  equal(await tab.text(), numbers(50), "the answer")
  await tab.close()
})

await test("a tab that is reloaded shows every word once and in order", async () => {
  const tab = await open()
  await tab.ask("count to 300")
  await tab.reaches(30)
  await tab.page.reload()
  await tab.says("writing")
  await tab.says("finished")
  equal(await tab.text(), numbers(300), "the answer")
  await tab.page.reload()
  await tab.says("finished")
  equal(await tab.text(), numbers(300), "the answer after its end")
  await tab.close()
})

await test("a tab that is opened later shows the whole answer", async () => {
  const first = await open()
  await first.ask("count to 200")
  await first.reaches(30)
  const second = await open(first.name)
  for (const tab of [first, second]) {
    await tab.says("finished")
    equal(await tab.text(), numbers(200), "the answer")
    await tab.close()
  }
})

await test("a writer that thinks for longer than its lease keeps it", async () => {
  const tab = await open()
  await tab.ask(`think ${LEASE_SECS + 3} s, then count to 5`)
  await tab.says("finished")
  equal(await tab.text(), numbers(5), "the answer")
  await tab.close()
})

await test("a stop in one tab stops the writer, and both tabs say so", async () => {
  const [first, name] = [await open(), randomUUID()]
  const second = await open(first.name)
  await first.ask(`${ENDLESS} ${name}`)
  await second.reaches(30)
  await second.stop()
  for (const tab of [first, second]) await tab.says("stopped")
  await chat.says(/answers\/\S+: stopped/)
  equal(await first.text(), await second.text(), "the answer of the first tab")
  await inOrder(first)
  for (const tab of [first, second]) await tab.close()
})

await test("a writer that is killed leaves no tab spinning", async () => {
  const tab = await open()
  await tab.ask(ENDLESS)
  await tab.reaches(30)
  const killed = performance.now()
  await chat.end("SIGKILL")
  chat = await start()
  await tab.says("the writer stopped answering")
  const seconds = (performance.now() - killed) / 1000
  console.log(`       the tab said so after ${seconds.toFixed(1)} s, with a lease of ${LEASE_SECS} s`)
  equal(seconds < LEASE_SECS + 30, true, "soon")
  await inOrder(tab)
  const later = await open(tab.name)
  await later.says("the writer stopped answering")
  equal(await later.text(), await tab.text(), "the answer in a tab that was opened later")
  for (const one of [tab, later]) await one.close()
})

await test("a restart of the stream server, even for longer than the lease, only delays an answer", async () => {
  const tab = await open()
  await tab.ask("count to 400")
  const listen = new URL(streams.url).host
  const restarts = [
    [30, "SIGTERM", 0],
    // The lease is over before the server is back. No writer can renew a lease meanwhile.
    [150, "SIGKILL", LEASE_SECS + 2],
  ]
  for (const [number, signal, seconds] of restarts) {
    await tab.reaches(number)
    await streams.end(signal)
    await after(seconds * 1000)
    streams = await startStreams(host, { directory, secret, listen })
  }
  await tab.says("finished")
  equal(await tab.text(), numbers(400), "the answer")
  await tab.close()
})

await test("a viewer's token can stop an answer, and not write", async () => {
  const tab = await open()
  await tab.ask(ENDLESS)
  await tab.reaches(10)
  const viewer = await (await fetch(new URL(`/chats/${tab.name}`, chat.url), { method: "PUT" })).json()
  const questions = await (await fetch(viewer.url, { headers: viewer.read })).json()
  const url = `${viewer.url}/${questions.at(-1).answer}`
  const post = async (target, headers, fields, body) => {
    const request = { method: "POST", headers: { ...headers, ...fields }, body }
    return (await fetch(target, request)).status
  }
  const json = { "content-type": "application/json" }
  const closed = { "stream-closed": "true" }
  equal(await post(url, viewer.stop, json, "{}"), 403, "an append")
  equal(await post(url, viewer.stop, { ...json, ...closed }, "{}"), 403, "an append that closes")
  equal(await post(url, viewer.stop, { ...closed, "stream-closed-reason": "finished" }), 403, "another reason")
  equal(await post(url, viewer.stop, { "stream-lease": "60" }), 403, "a heartbeat")
  equal(await post(viewer.url, viewer.stop, closed), 403, "a stop of the chat itself")
  equal(await post(url, viewer.read, closed), 403, "a stop by a reader")
  equal(await post(url, viewer.stop, { ...closed, "stream-closed-reason": "stopped" }), 204, "a stop")
  await tab.says("stopped")
  await tab.close()
})

await browser.close()
await chat.end("SIGTERM")
await streams.end("SIGTERM")
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exit(counts.failed === 0 ? 0 : 1)
