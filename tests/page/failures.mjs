// Servers that restart, are slow, lack things, or want a token.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { faults } from "./access.mjs"
import { startFront } from "./front.mjs"
import { equal, holds, test, until } from "./harness.mjs"
import { Server } from "./server.mjs"
import { open, streamAt } from "./tab.mjs"

const JSON_TYPE = "application/json"
const MANAGER = "manager-of-everything"
const READER = "reader-of-everything"

export async function failureTests(browser, host, server) {
  await restarts(browser, host)
  await fronts(browser, server)
  await tokens(browser, host)
}

async function restarts(browser, host) {
  const directory = mkdtempSync(join(tmpdir(), "page-"))
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }))
  let server = await Server.start(host, { store: `file:${directory}` })

  await test("a server that restarts is waited for, and every message is shown once", async () => {
    await server.create("fail/restart", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "fail/restart"))
    await tab.phase("Live")
    for (const [signal, number] of [["SIGTERM", 2], ["SIGKILL", 3]]) {
      await server.end(signal)
      await tab.phase(/Reconnecting in \d+ s/)
      server = await server.restart()
      await server.append("fail/restart", JSON_TYPE, `${number}`)
      await until(`message ${number} is shown`, async () => (await tab.messages()).at(-1) === `${number}`)
    }
    equal(await tab.messages(), ["1", "2", "3"], "the content")
    await tab.phase("Live")
    await tab.close()
  })

  await test("a list that can't be loaded is a sentence with a button to try again", async () => {
    const tab = await open(browser, server.page)
    await tab.summary("1 stream loaded")
    await server.end()
    await tab.press("Refresh")
    await tab.sees("The server does not answer. It may be restarting, or the network is down.")
    server = await server.restart()
    await tab.press("Try again")
    await tab.summary("1 stream loaded")
    await tab.close()
  })

  await test("the charts show load, latency, readers and disk, and stand still without a server", async () => {
    const tab = await open(browser, `${server.page}/#/server`)
    const writing = setInterval(() => server.append("fail/restart", JSON_TYPE, "4").catch(() => {}), 50)
    const chart = (title) => tab.page.locator(".chart", { has: tab.page.getByText(title, { exact: true }) })
    const label = (title) => chart(title).getByRole("img").getAttribute("aria-label")
    await until("appends are counted", async () => /Appends: [1-9]/.test(await label("Requests")))
    await until("appends are timed", async () => /p99: [\d.]+ (ms|µs)/.test(await label("Time of appends")))
    await until("syncs are timed", async () => /p50: [\d.]+ (ms|µs)/.test(await label("Time of syncs")))
    await until("the disk is shown", async () => /Free: [\d.]+ [GT]iB/.test(await label("Free disk")))
    await until("the lines have shapes", async () => (await chart("Requests").locator("path[d*=L]").count()) === 3)
    equal(await label("Live readers"), "Live readers. SSE: 0, Long-poll: 0.", "the readers")
    clearInterval(writing)
    await server.end()
    await tab.sees("The charts are not updated.")
    server = await server.restart()
    await tab.sees("The page reads the metrics every 2 s.")
    await tab.close()
  })

  await server.end()
}

async function fronts(browser, server) {
  await server.create("fail/front", JSON_TYPE, "[1]")
  const front = await startFront(server.page, () => {})
  const opened = (query) => open(browser, streamAt(front.page, "fail/front", query))
  const isStream = ({ url }) => url.includes("/fail/front")

  await test("a slow server is waited for, with a sign of it", async () => {
    front.rules = ({ url }) => ({ delay: url.includes("__ds") ? 1500 : 0 })
    const tab = await opened()
    await tab.sees("Loading…")
    await until("the content is shown", async () => (await tab.messages()).join() === "1")
    await tab.close()
  })

  await test("SSE that a proxy holds back is replaced by long-polls", async () => {
    front.rules = ({ url }) => ({ hold: url.includes("live=sse") })
    const tab = await opened()
    await tab.phase("Live by long-poll, because SSE events do not arrive")
    await server.append("fail/front", JSON_TYPE, "2")
    await until("the message arrives once", async () => (await tab.messages()).join() === "1,2")
    await tab.close()
  })

  await test("a server without lists and descriptions is usable, and the page says what is missing", async () => {
    front.rules = ({ url }) => (url.includes("__ds") ? { status: 404 } : {})
    const tab = await open(browser, front.page)
    await tab.sees("This server has no list of streams. Type the name of a stream and press Open.")
    await tab.page.getByRole("searchbox").fill("fail/front")
    await tab.press("Open")
    await until("the content is shown", async () => (await tab.messages())[0] === "1")
    equal(await tab.fact("Content type"), JSON_TYPE, "the type")
    await tab.sees("This server does not show the producers of a stream.")
    equal(await tab.page.getByLabel("From").locator("option").allTextContents(), ["The start", "An offset", "Only new content"], "the starts")
    await tab.page.goto(`${front.page}/#/subscriptions`)
    await tab.sees("This server has no list of subscriptions.")
    await tab.page.goto(`${front.page}/#/server`)
    await tab.sees("This server does not describe itself")
    await tab.close()
  })

  await test("an overloaded server is asked again after the time that it names", async () => {
    let refusals = 2
    const problem = '{"code":"OVERLOADED","detail":"The queue is full."}'
    const refusal = { status: 503, type: "application/problem+json", body: problem }
    front.rules = (request) => (isStream(request) && !request.url.includes("__ds") && refusals-- > 0 ? refusal : {})
    const tab = await opened()
    await tab.phase("The queue is full. Reconnecting in")
    await until("the content is shown", async () => (await tab.messages())[0] === "1")
    await tab.close()
  })

  await test("a deleted stream with the same name again is read from its start, with a remark", async () => {
    front.rules = () => {}
    const tab = await opened()
    await tab.phase("Live")
    await tab.press("Pause")
    await server.send("DELETE", "fail/front")
    await server.create("fail/front", JSON_TYPE, "[9]")
    await tab.press("Resume")
    await tab.sees("Reading continues at the start of the present stream.")
    await until("the new content follows", async () => (await tab.messages()).join().endsWith(",9"))
    await tab.close()
  })

  await test("a tab never has more than two live connections", async () => {
    const tab = await opened()
    await tab.phase("Live")
    for (const kind of ["Text", "Bytes", "JSON"]) await tab.showAs(kind)
    await tab.phase("Live")
    await tab.page.goto(`${front.page}/#/server`)
    await until("none is left", () => front.live === 0)
    holds(front.mostLive <= 2, `there were at most two, and not ${front.mostLive}`)
    await tab.close()
  })

  front.end()
}

async function tokens(browser, host) {
  const list = [
    { token: MANAGER, scope: "read write manage" },
    { token: READER, scope: "read" },
  ]
  const server = await Server.start(host, { variables: { auth_tokens: JSON.stringify(list) } })
  const headers = { authorization: `Bearer ${MANAGER}` }
  await server.create("fail/secret", JSON_TYPE, "[1]", headers)

  await test("with access control the page asks for a token, refuses a wrong one, and keeps the right one", async () => {
    const tab = await open(browser, server.page)
    await tab.dialog.waitFor()
    equal(await faults(tab), [], "the faults that axe finds in the dialog")
    await tab.answer({ Token: "not a token" }, "Use this token")
    await tab.dialog.getByText("A token has only letters, digits and punctuation, without spaces.").waitFor()
    await tab.answer({ Token: "not-a-token-of-this-server" }, "Use this token")
    await tab.dialog.getByText("The server refuses the token.").waitFor()
    await tab.answer({ Token: MANAGER }, "Use this token")
    await tab.summary("1 stream loaded")
    await tab.page.reload()
    await tab.summary("1 stream loaded")
    await tab.page.getByRole("link", { name: "fail/secret" }).click()
    await until("the content is shown", async () => (await tab.messages()).join() === "1")
    const stored = await tab.page.evaluate(() => ({ local: localStorage.length, cookies: document.cookie }))
    equal(stored, { local: 0, cookies: "" }, "other places of the token")
    const other = await open(browser, server.page, { shared: tab.device })
    await other.dialog.getByText("This server has access control").waitFor()
    await tab.page.bringToFront()
    await tab.press("Token: set")
    await tab.answer({ Token: "" }, "Use this token")
    await tab.dialog.getByLabel("Token").waitFor()
    await tab.close()
  })

  await test("a token without a right is told so in a sentence", async () => {
    const tab = await open(browser, streamAt(server.page, "fail/secret"))
    await tab.answer({ Token: READER }, "Use this token")
    await until("the content is shown", async () => (await tab.messages()).join() === "1")
    await tab.press("Stop")
    await tab.press("Stop", tab.dialog)
    await tab.dialog.getByRole("alert").filter({ hasText: "scope" }).waitFor()
    await tab.press("Cancel", tab.dialog)
    await tab.page.goto(`${server.page}/#/subscriptions`)
    await tab.page.getByRole("alert").filter({ hasText: "manage" }).waitFor()
    await tab.close()
  })

  await server.end()
}
