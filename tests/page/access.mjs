// Faults that axe-core finds, in every view, light and dark, narrow and wide. Takes the screenshots.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { equal, holds, test } from "./harness.mjs"
import { open, streamAt } from "./tab.mjs"

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")
const JSON_TYPE = "application/json"

/** Faults of a view, one line each. Evaluating through the debugger is not bound by the policy. */
export async function faults(tab) {
  await tab.page.evaluate(axe)
  const { violations } = await tab.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }))
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ target }) => target).join(" ")}`)
}

const VIEWS = [
  ["list", "/#/streams?q=show"],
  ["json", `/#/stream/${encodeURIComponent("show/chats/7")}`],
  ["text", `/#/stream/${encodeURIComponent("show/log")}`],
  ["bytes", `/#/stream/${encodeURIComponent("show/bytes")}`],
  ["missing", "/#/stream/show%2Fnone"],
  ["subscriptions", "/#/subscriptions"],
  ["subscription", "/#/subscription/show"],
  ["server", "/#/server"],
]

async function prepare(server) {
  const messages = Array.from({ length: 60 }, (_, at) => ({ role: at % 2 ? "assistant" : "user", text: `message ${at}`, tokens: at * 7 }))
  await server.create("show/chats/7", JSON_TYPE, JSON.stringify(messages), { "stream-lease": "600" })
  await server.send("PUT", "show/chats/7-retry", { "stream-forked-from": "/v1/stream/show/chats/7" })
  const producer = { "producer-id": "writer-1", "producer-epoch": "0", "producer-seq": "0" }
  await server.append("show/chats/7", JSON_TYPE, '{"role":"assistant","text":"the last one"}', producer)
  await server.create("show/log", "text/plain", "2026-11-30 server started\n2026-11-30 listening\n".repeat(20))
  await server.create("show/bytes", "application/octet-stream", Buffer.from(Array.from({ length: 600 }, (_, at) => at % 256)))
  await server.create("show/wakes", JSON_TYPE)
  const subscription = { type: "pull-wake", pattern: "show/chats/*", wake_stream: "show/wakes" }
  await server.send("PUT", "__ds/subscriptions/show", { "content-type": JSON_TYPE }, JSON.stringify(subscription))
}

export async function accessTests(browser, server, shots) {
  await prepare(server)
  const shot = (tab, name) => shots && tab.page.screenshot({ path: join(shots, `${name}.png`) })

  for (const [dark, size] of [[false, [1440, 900]], [true, [1440, 900]], [false, [360, 740]], [true, [3840, 2160]]]) {
    const kind = `${dark ? "dark" : "light"}-${size[0]}`
    await test(`axe finds no fault in any view, ${dark ? "dark" : "light"}, ${size[0]} pixels wide`, async () => {
      const tab = await open(browser, server.page, { dark, size })
      for (const [name, path] of VIEWS) {
        await tab.page.goto(server.page + path)
        await settle(tab, name)
        if (name === "json") await tab.page.locator(".json .row").first().click()
        equal(await faults(tab), [], `the faults of ${name}`)
        const width = await tab.page.evaluate(() => document.documentElement.scrollWidth)
        holds(width <= size[0], `${name} is at most as wide as the window, and not ${width}`)
        await shot(tab, `${name}-${kind}`)
      }
      await tab.close()
    })
  }

  await test("axe finds no fault in the dialogs and the form that appends", async () => {
    for (const dark of [false, true]) {
      const tab = await open(browser, streamAt(server.page, "show/chats/7"), { dark, size: [1440, 900] })
      await tab.press("Append")
      equal(await faults(tab), [], "the faults of the form")
      for (const name of ["New stream", "Fork", "Stop", "Close", "Delete"]) {
        await tab.press(name)
        await tab.dialog.waitFor()
        equal(await faults(tab), [], `the faults of ${name}`)
        await shot(tab, `dialog-${name.toLowerCase().replace(" ", "-")}-${dark ? "dark" : "light"}`)
        await tab.page.keyboard.press("Escape")
        await tab.dialog.waitFor({ state: "detached" })
      }
      await tab.close()
    }
  })
}

/** Waits until a view has its content. */
function settle(tab, name) {
  const signs = {
    list: ".table .rows .row",
    json: ".json .row",
    text: ".text .block",
    bytes: ".bytes .row",
    missing: ".trouble",
    subscriptions: "table.wide",
    subscription: ".subscription dl",
    server: ".about dl",
  }
  return tab.page.locator(signs[name]).first().waitFor()
}
