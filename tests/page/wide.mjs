// Many streams, long streams, and many appends.
import { holds, test, until } from "./harness.mjs"
import { createMany } from "./server.mjs"
import { open, streamAt } from "./tab.mjs"

const JSON_TYPE = "application/json"
/** Streams of the list. */
export const STREAMS = 100_000
const MIB = 1024 * 1024

/** Bytes of the tab's JavaScript heap, after a collection. */
export async function heapOf(tab) {
  const session = await tab.device.newCDPSession(tab.page)
  await session.send("HeapProfiler.collectGarbage")
  const { usedSize } = await session.send("Runtime.getHeapUsage")
  await session.detach()
  return usedSize
}

/** Creates the streams of the tests. */
export function prepareWide(server) {
  return createMany(server, STREAMS, (number) => `wide/${String(number % 100).padStart(2, "0")}/chat-${number}`)
}

/** A JSON array of `bytes` bytes with messages of about 200 bytes. */
export function manyMessages(bytes) {
  const messages = []
  for (let size = 0, at = 0; size < bytes; at += 1) {
    const message = JSON.stringify({ at, text: "x".repeat(150), nested: { list: [1, 2, 3] } })
    messages.push(message)
    size += message.length + 1
  }
  return messages
}

export async function wideTests(browser, server) {
  await test("one of 100,000 streams is found by its beginning and by a part", async () => {
    const tab = await open(browser, server.page)
    await tab.summary("There may be more.")
    await tab.find("wide/42/chat-4242")
    await tab.summary("That is all.")
    holds((await tab.names()).includes("wide/42/chat-4242"), "the stream is in the list")
    await tab.find("chat-99942", "contains")
    await tab.summary("1 stream loaded. That is all.")
    await tab.close()
  })

  await test("a search can be stopped, and goes on", async () => {
    const tab = await open(browser, server.page)
    await tab.find("chat-99999", "contains")
    await tab.press("Stop the search")
    await tab.press("Load more")
    await tab.summary("1 stream loaded. That is all.")
    await tab.close()
  })

  await test("all 100,000 streams can be loaded, sorted and scrolled", async () => {
    const tab = await open(browser, server.page)
    await tab.press("Load all")
    await tab.page.locator(".list .summary", { hasText: /^100,\d{3} streams loaded/ }).waitFor({ timeout: 60_000 })
    await tab.press("Name")
    await tab.page.locator(".table .rows a").first().focus()
    await tab.page.keyboard.press("End")
    await until("the last is in view", async () => (await tab.names()).includes("wide/99/chat-99999"))
    const rows = await tab.page.locator(".table .rows .row").count()
    holds(rows < 100, `few rows exist, and not ${rows}`)
    const heap = await heapOf(tab)
    holds(heap < 120 * MIB, `the heap is below 120 MiB, and not ${Math.round(heap / MIB)} MiB`)
    await tab.close()
  })

  await test("10 MB of JSON in one stream are read from the start, and the view stays quick", async () => {
    await server.create("wide/long", JSON_TYPE)
    const messages = manyMessages(10_000_000)
    for (let at = 0; at < messages.length; at += 10_000) {
      await server.append("wide/long", JSON_TYPE, `[${messages.slice(at, at + 10_000).join()}]`)
    }
    const tab = await open(browser, streamAt(server.page, "wide/long", "?from=start"))
    await until("all were read", async () => (await tab.messages()).includes(messages.at(-1).slice(0, 500)))
    await tab.sees("Only the last 20,000 messages")
    await tab.page.locator(".json .row").last().click()
    await tab.page.getByRole("treeitem", { name: "nested: { 1 }" }).waitFor()
    const heap = await heapOf(tab)
    holds(heap < 80 * MIB, `the heap is below 80 MiB, and not ${Math.round(heap / MIB)} MiB`)
    await tab.close()
  })

  await test("one message of 8 MB opens, a part of its list at a time", async () => {
    const list = Array.from({ length: 400_000 }, (_, at) => at * 1_000_003)
    await server.create("wide/message", JSON_TYPE, JSON.stringify([{ list, text: "y".repeat(3_000_000) }]))
    const tab = await open(browser, streamAt(server.page, "wide/message"))
    await tab.page.locator(".json .row").first().click()
    await tab.page.getByRole("treeitem", { name: "list: [ 400000 ]" }).click()
    await tab.page.keyboard.press("End")
    await tab.sees("(3000000 characters)")
    await tab.sees("399900 more, show the next 100")
    await tab.close()
  })

  await test("a stream with 2,000 appends a second neither grows the tab nor freezes it", async () => {
    await server.create("wide/fast", JSON_TYPE)
    const tab = await open(browser, streamAt(server.page, "wide/fast"))
    await tab.phase("Live")
    const longest = await busy(tab, server, "wide/fast", 8)
    holds(longest < 500, `no frame took half a second, and not ${Math.round(longest)} ms`)
    await until("all have arrived", async () => (await tab.page.locator(".tally").textContent()).startsWith("16,000 messages"))
    const heap = await heapOf(tab)
    holds(heap < 40 * MIB, `the heap is below 40 MiB, and not ${Math.round(heap / MIB)} MiB`)
    await tab.close()
  })
}

/** Appends 2,000 messages a second for a time. Returns the longest time between two frames, in ms. */
export async function busy(tab, server, name, secs) {
  await tab.page.evaluate(() => {
    let last = performance.now()
    window.longestFrame = 0
    const frame = (now) => {
      window.longestFrame = Math.max(window.longestFrame, now - last)
      last = now
      requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  })
  const pipe = server.pipeline()
  const end = performance.now() + secs * 1000
  let number = 0
  await new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(2000 * secs, Math.floor((secs * 1000 - (end - performance.now())) * 2))
      for (; number < due; number += 1) pipe.send("POST", `/v1/stream/${name}`, JSON_TYPE, `{"number":${number},"text":"a short message"}`)
      if (number < 2000 * secs) return
      clearInterval(timer)
      resolve()
    }, 10)
  })
  await pipe.drained()
  pipe.end()
  return tab.page.evaluate(() => window.longestFrame)
}
