// Watching a stream: as text, JSON and bytes, from any start, live.
import { equal, holds, test, until } from "./harness.mjs"
import { open, streamAt } from "./tab.mjs"

const JSON_TYPE = "application/json"

export async function watchTests(browser, server) {
  await test("text is shown and goes on live", async () => {
    await server.create("watch/text", "text/plain", "one\n")
    const tab = await open(browser, streamAt(server.page, "watch/text"))
    await tab.phase("Live by SSE")
    for (const word of ["two\n", "three"]) await server.append("watch/text", "text/plain", word)
    await until("all words are shown", async () => (await tab.text()) === "one\ntwo\nthree")
    await tab.close()
  })

  await test("JSON messages open to their values, with the digits that were written", async () => {
    await server.create("watch/json", JSON_TYPE, '[{"big":12345678901234567890,"one":1.50,"deep":{"list":[true,null]}},7]')
    const tab = await open(browser, streamAt(server.page, "watch/json"))
    await until("both are shown", async () => (await tab.messages()).length === 2)
    await tab.page.locator(".json .row").first().click()
    await until("the digits are shown", async () =>
      (await tab.page.locator(".json .value").allTextContents()).join() === "12345678901234567890,1.50,{ 1 }",
    )
    const { keyboard } = tab.page
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"]) await keyboard.press(key)
    await tab.page.getByRole("treeitem", { name: "list: [ 2 ]" }).waitFor()
    await keyboard.press("ArrowLeft")
    await tab.page.getByRole("treeitem", { name: "list: [ 2 ]" }).waitFor({ state: "detached" })
    await keyboard.press("Home")
    await keyboard.press("Enter")
    await until("the message is folded", async () => (await tab.page.locator(".json .row").count()) === 2)
    await tab.press("Show as sent")
    await tab.dialog.getByText('"big":12345678901234567890').waitFor()
    await tab.press("Close", tab.dialog)
    await tab.close()
  })

  await test("bytes are shown exactly, also those that text would change", async () => {
    const bytes = Buffer.from([0, 255, 13, 10, 13, 65, 128])
    await server.create("watch/bytes", "text/plain", bytes)
    const tab = await open(browser, streamAt(server.page, "watch/bytes", "?view=bytes"))
    const digits = async () => (await tab.page.locator(".bytes .digits").allTextContents()).join("").trim()
    await until("the bytes are shown", async () => (await digits()) === "00 ff 0d 0a 0d 41 80")
    await tab.phase("Live by long-poll")
    await server.append("watch/bytes", "text/plain", Buffer.from([1]))
    await until("a live byte is shown", async () => (await digits()).replaceAll("  ", " ") === "00 ff 0d 0a 0d 41 80 01")
    await tab.close()
  })

  await test("one stream is shown in each way, and the choice is in the URL", async () => {
    await server.create("watch/ways", JSON_TYPE, '[{"a":1}]')
    const tab = await open(browser, streamAt(server.page, "watch/ways"))
    await until("JSON", async () => (await tab.messages()).join() === '{"a":1}')
    await tab.showAs("Text")
    await until("text", async () => (await tab.text()) === '{"a":1}\n')
    await tab.showAs("Bytes")
    await tab.page.locator(".bytes .ascii", { hasText: '{"a":1}' }).waitFor()
    await tab.page.reload()
    await tab.page.locator(".bytes .ascii", { hasText: '{"a":1}' }).waitFor()
    await tab.close()
  })

  await test("the reading begins at the last N, at the start, at an offset, or with new content", async () => {
    const numbers = Array.from({ length: 40 }, (_, at) => at + 1)
    const created = await server.create("watch/starts", JSON_TYPE, JSON.stringify(numbers))
    const offset = created.headers.get("stream-next-offset")
    await server.append("watch/starts", JSON_TYPE, "[41,42]")
    const tab = await open(browser, streamAt(server.page, "watch/starts"))
    const shows = (first, count) =>
      until(`${count} messages from ${first}`, async () => {
        const tally = await tab.page.locator(".tally").textContent()
        return tally.startsWith(`${count} message`) && (await tab.messages()).includes(`${first}`)
      })
    await shows(42, 42)
    await tab.page.getByLabel("Number or offset").fill("3")
    await tab.press("Go")
    await shows(40, 3)
    await tab.page.getByLabel("From").selectOption("start")
    await shows(42, 42)
    await tab.page.getByLabel("From").selectOption("offset")
    await tab.page.getByLabel("Number or offset").fill(offset)
    await tab.press("Go")
    await shows(41, 2)
    await tab.page.getByLabel("From").selectOption("now")
    await tab.phase("Live")
    await server.append("watch/starts", JSON_TYPE, "43")
    await shows(43, 1)
    await tab.page.getByLabel("From").selectOption("offset")
    await tab.page.getByLabel("Number or offset").fill("not an offset")
    await tab.press("Go")
    await tab.sees("Enter an offset as the server returned it.")
    await tab.close()
  })

  await test("a pause stops the reading, and it goes on without a loss", async () => {
    await server.create("watch/pause", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "watch/pause"))
    await tab.phase("Live")
    await tab.press("Pause")
    await tab.phase("Paused")
    await server.append("watch/pause", JSON_TYPE, "[2,3]")
    await until("no reader is left", async () => (await liveReaders(server)) === 0)
    equal(await tab.messages(), ["1"], "the content during the pause")
    await tab.press("Resume")
    await until("all are shown", async () => (await tab.messages()).join() === "1,2,3")
    await tab.close()
  })

  await test("a tab that scrolls up stays there, and at the end follows again", async () => {
    await server.create("watch/follow", JSON_TYPE, JSON.stringify(Array.from({ length: 200 }, (_, at) => at)))
    const tab = await open(browser, streamAt(server.page, "watch/follow", "?from=start"))
    await until("the last is in view", async () => (await tab.messages()).includes("199"))
    await tab.page.locator(".json").hover()
    await tab.page.mouse.wheel(0, -2000)
    await until("following is off", async () => !(await tab.page.getByLabel("Follow").isChecked()))
    const before = await tab.messages()
    await server.append("watch/follow", JSON_TYPE, "200")
    await until("it arrived", async () => (await tab.page.locator(".tally").textContent()).startsWith("201 "))
    equal(await tab.messages(), before, "the view")
    await tab.page.getByLabel("Follow").check()
    await until("the last is in view", async () => (await tab.messages()).includes("200"))
    await tab.close()
  })

  await test("a hidden tab has no connection, and goes on where it was", async () => {
    await server.create("watch/hidden", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "watch/hidden"))
    await tab.phase("Live")
    const setHidden = (isHidden) =>
      tab.page.evaluate((value) => {
        Object.defineProperty(document, "hidden", { value, configurable: true })
        document.dispatchEvent(new Event("visibilitychange"))
      }, isHidden)
    await setHidden(true)
    await tab.phase("Paused while the tab is hidden")
    await until("no reader is left", async () => (await liveReaders(server)) === 0)
    await server.append("watch/hidden", JSON_TYPE, "2")
    await setHidden(false)
    await until("both are shown", async () => (await tab.messages()).join() === "1,2")
    await tab.close()
  })

  await test("two tabs show the same stream, and a close in one is seen in the other", async () => {
    await server.create("watch/two", JSON_TYPE, "[1]")
    const first = await open(browser, streamAt(server.page, "watch/two"))
    const second = await open(browser, streamAt(server.page, "watch/two"), { shared: first.device })
    for (const tab of [first, second]) await tab.phase("Live")
    await server.append("watch/two", JSON_TYPE, "2")
    for (const tab of [first, second]) await until("both", async () => (await tab.messages()).join() === "1,2")
    await first.page.bringToFront()
    await first.press("Stop")
    await first.answer({}, "Stop")
    for (const tab of [first, second]) {
      await tab.page.bringToFront()
      await tab.phase("The stream has ended: stopped")
    }
    await first.close()
  })

  await test("newline-delimited JSON in another stream is shown as JSON, and broken lines are marked", async () => {
    await server.create("watch/lines", "application/x-ndjson", '{"a":1}\n{broken\n')
    const tab = await open(browser, streamAt(server.page, "watch/lines", "?view=json&from=start"))
    await until("both lines", async () => (await tab.messages()).length === 2)
    await tab.page.locator(".json .row").nth(1).click()
    await tab.sees("It is not JSON")
    await tab.close()
  })

  await test("characters that two events divide are shown whole", async () => {
    await server.create("watch/utf8", "text/plain", Buffer.from([0xe2, 0x82]))
    const tab = await open(browser, streamAt(server.page, "watch/utf8", "?from=start"))
    await tab.phase("Live")
    await server.append("watch/utf8", "text/plain", Buffer.from([0xac, 0x21]))
    await until("the sign is shown", async () => (await tab.text()) === "€!")
    holds(!(await tab.text()).includes("\ufffd"), "no replacement is shown")
    await tab.close()
  })
}

/** The number of live readers, by the server's metrics. */
export async function liveReaders(server) {
  const text = await (await fetch(`${server.page}/metrics`)).text()
  const values = [...text.matchAll(/^durable_streams_live_readers\{.*\} (\d+)$/gm)]
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}
