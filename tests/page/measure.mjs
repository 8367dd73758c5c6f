// Figures of the page: node measure.mjs HOST CHROMIUM
//
// Load time and heap with 100,000 streams, and with a stream that gets 2,000 appends a second for a minute.
import { chromium } from "playwright-core"
import { Server } from "./server.mjs"
import { open, streamAt } from "./tab.mjs"
import { busy, heapOf, prepareWide } from "./wide.mjs"

const [host, executablePath] = process.argv.slice(2)
const SECS = 60
const MIB = 1024 * 1024
const show = (text, heap) => console.log(`${text}, heap ${(heap / MIB).toFixed(1)} MiB`)

const browser = await chromium.launch({ executablePath })
const server = await Server.start(host)
await prepareWide(server)

for (const round of [1, 2, 3]) {
  const tab = await open(browser, server.page)
  await tab.page.locator(".table .rows .row").first().waitFor()
  const [rows, paint] = await tab.page.evaluate(() => [
    Math.round(performance.now()),
    Math.round(performance.getEntriesByName("first-contentful-paint")[0].startTime),
  ])
  show(`round ${round}: first paint after ${paint} ms, first rows of 100,000 after ${rows} ms`, await heapOf(tab))
  if (round === 3) {
    const all = performance.now()
    await tab.press("Load all")
    await tab.page.locator(".list .summary", { hasText: "That is all." }).waitFor({ timeout: 120_000 })
    show(`all 100,000 after ${((performance.now() - all) / 1000).toFixed(1)} s`, await heapOf(tab))
  }
  await tab.close()
}

await server.create("fast", "application/json")
const tab = await open(browser, streamAt(server.page, "fast"))
await tab.phase("Live")
show("2,000 appends a second: before", await heapOf(tab))
for (const part of [1, 2, 3]) {
  const longest = await busy(tab, server, "fast", SECS / 3)
  show(`after ${(part * SECS) / 3} s, longest frame ${Math.round(longest)} ms, ${await tab.page.locator(".tally").textContent()}`, await heapOf(tab))
}
await browser.close()
await server.end()
process.exit(0)
