// Everything that changes a stream, and its metadata.
import { equal, holds, test, until } from "./harness.mjs"
import { open, streamAt } from "./tab.mjs"

const JSON_TYPE = "application/json"

export async function changeTests(browser, server) {
  await test("a stream is created with its properties, and shown", async () => {
    const tab = await open(browser, server.page)
    await tab.press("New stream")
    const fields = { Name: "change/new", "First content": '[{"hello":1}]', "Time to live": "3600", "Writer's lease": "600" }
    await tab.answer(fields, "Create")
    await tab.page.getByRole("heading", { name: "change/new" }).waitFor()
    await until("the content is shown", async () => (await tab.messages()).join() === '{"hello":1}')
    holds((await tab.fact("Time to live")).startsWith("1 h after the last use"), "the TTL is shown")
    const { headers } = await server.send("HEAD", "change/new")
    equal([headers.get("stream-ttl"), headers.get("stream-lease")], ["3600", "600"], "the properties")
    await tab.close()
  })

  await test("a refused creation keeps the form and says why", async () => {
    await server.create("change/taken", "text/plain", "")
    const tab = await open(browser, server.page)
    await tab.press("New stream")
    await tab.answer({ Name: "change/taken" }, "Create")
    await tab.dialog.getByRole("alert").filter({ hasText: "." }).waitFor()
    await tab.answer({ "Content type": "text/plain" }, "Create")
    await tab.sees("The stream existed already")
    await tab.close()
  })

  await test("messages are appended one after another, and a broken one is refused", async () => {
    await server.create("change/append", JSON_TYPE)
    const tab = await open(browser, streamAt(server.page, "change/append"))
    await tab.press("Append")
    const form = tab.page.getByRole("form", { name: "Append" })
    const content = form.getByLabel("Content to append")
    await content.fill('{"a":1}')
    await tab.press("Append", form)
    await until("it arrived", async () => (await tab.messages()).join() === '{"a":1}')
    await content.fill("{broken")
    await tab.press("Append", form)
    await form.getByRole("alert").filter({ hasText: "JSON" }).waitFor()
    await content.fill("[2,3]")
    await content.press("Control+Enter")
    await until("both arrived", async () => (await tab.messages()).join() === '{"a":1},2,3')
    await tab.close()
  })

  await test("a file is appended byte for byte", async () => {
    await server.create("change/file", "application/octet-stream")
    const tab = await open(browser, streamAt(server.page, "change/file"))
    await tab.press("Append")
    const form = tab.page.getByRole("form", { name: "Append" })
    const buffer = Buffer.from([0, 255, 10, 13])
    await form.getByLabel("Or a file").setInputFiles({ name: "a.bin", mimeType: "image/png", buffer })
    await tab.press("Append", form)
    await tab.page.locator(".bytes .digits", { hasText: "00 ff 0a 0d" }).waitFor()
    await tab.close()
  })

  await test("a close asks first, has a reason, and ends the view", async () => {
    await server.create("change/close", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "change/close"))
    await tab.phase("Live")
    await tab.press("Close")
    await tab.press("Cancel", tab.dialog)
    equal((await server.send("HEAD", "change/close")).headers.get("stream-closed"), null, "closed")
    await tab.press("Close")
    await tab.answer({ Reason: "finished" }, "Close the stream")
    await tab.phase("The stream has ended: finished")
    await until("the reason is shown", async () => (await tab.fact("State")) === "Closed with the reason finished")
    equal(await tab.page.getByRole("button", { name: "Append", exact: true }).count(), 0, "buttons to append")
    await tab.close()
  })

  await test("a stop closes with the reason stopped", async () => {
    await server.create("change/stop", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "change/stop"))
    await tab.press("Stop")
    await tab.answer({}, "Stop")
    await tab.phase("The stream has ended: stopped")
    equal((await server.send("HEAD", "change/stop")).headers.get("stream-closed-reason"), "stopped", "the reason")
    await tab.close()
  })

  await test("a fork is made at the tail or at an offset, and the tree has all of them", async () => {
    const created = await server.create("change/source", JSON_TYPE, "[1]")
    const offset = created.headers.get("stream-next-offset")
    await server.append("change/source", JSON_TYPE, "2")
    const tab = await open(browser, streamAt(server.page, "change/source"))
    await tab.press("Fork")
    await tab.answer({ Name: "change/fork-1" }, "Fork")
    await tab.page.getByRole("heading", { name: "change/fork-1" }).waitFor()
    equal(await server.read("change/fork-1"), "[1,2]", "the fork at the tail")
    await tab.page.goto(streamAt(server.page, "change/source"))
    await tab.press("Fork")
    await tab.answer({ Name: "change/fork-2", "At the offset": offset }, "Fork")
    await tab.page.getByRole("heading", { name: "change/fork-2" }).waitFor()
    equal(await server.read("change/fork-2"), "[1]", "the fork at an offset")
    await tab.press("Fork")
    await tab.answer({ Name: "change/fork-3" }, "Fork")
    await tab.page.getByRole("heading", { name: "change/fork-3" }).waitFor()
    await tab.page.locator("summary", { hasText: "Forks" }).click()
    const tree = tab.page.locator(".tree")
    await until("the sources are shown", async () =>
      (await tree.locator(".node .name").allTextContents()).join() === "change/source,change/fork-2,change/fork-3",
    )
    await tree.getByRole("link", { name: "change/source" }).click()
    await tab.page.getByRole("heading", { name: "change/source" }).waitFor()
    await tab.page.locator("summary", { hasText: "Forks (2)" }).click()
    await tree.getByRole("button", { name: "1 fork of change/fork-2" }).click()
    await until("the forks are shown", async () =>
      (await tree.locator(".node .name").allTextContents()).sort().join() ===
      "change/fork-1,change/fork-2,change/fork-3,change/source",
    )
    await tab.close()
  })

  await test("a deletion asks first and begins at Cancel", async () => {
    await server.create("change/delete", JSON_TYPE, "[1]")
    const tab = await open(browser, streamAt(server.page, "change/delete"))
    await tab.press("Delete")
    await tab.page.keyboard.press("Enter")
    await tab.dialog.waitFor({ state: "detached" })
    equal(await server.read("change/delete"), "[1]", "the content after a press of Enter")
    await tab.press("Delete")
    await tab.answer({}, "Delete")
    await tab.sees("The stream was deleted.")
    await tab.sees("Choose a stream")
    const gone = await fetch(server.at("change/delete"))
    equal(gone.status, 404, "the status")
    await tab.close()
  })

  await test("a lease counts down, and its end is told", async () => {
    await server.create("change/lease", JSON_TYPE, "[1]", { "stream-lease": "4" })
    const tab = await open(browser, streamAt(server.page, "change/lease"))
    await tab.page.getByRole("timer").filter({ hasText: /ends in [1-4] s/ }).waitFor()
    await tab.phase("The stream has ended: lease-expired")
    await until("the state says so", async () => (await tab.fact("State")).includes("lease expired"))
    await tab.close()
  })

  await test("the append of a producer that closed a stream is shown", async () => {
    const producer = { "producer-id": "me", "producer-epoch": "3", "producer-seq": "0", "stream-closed": "true" }
    await server.create("change/closed-by", JSON_TYPE)
    await server.append("change/closed-by", JSON_TYPE, "1", producer)
    const tab = await open(browser, streamAt(server.page, "change/closed-by"))
    await until("the append", async () => (await tab.fact("Closed by")) === "producer 2744ccd1, epoch 3, sequence 0")
    await tab.close()
  })

  await test("producers are listed by the hash of their ids", async () => {
    const producer = { "producer-id": "me", "producer-epoch": "3", "producer-seq": "0" }
    await server.create("change/producers", JSON_TYPE)
    await server.append("change/producers", JSON_TYPE, "1", producer)
    const tab = await open(browser, streamAt(server.page, "change/producers"))
    await tab.page.locator("summary", { hasText: "Producers (1)" }).waitFor()
    const cells = await tab.page.locator(".facts tbody td").allTextContents()
    equal(cells.slice(0, 3), ["2744ccd1", "3", "0"], "the producer")
    await tab.close()
  })

  await test("subscriptions show their wake, and the streams with pending content", async () => {
    await server.create("change/wakes", JSON_TYPE)
    await server.create("change/jobs/1", JSON_TYPE)
    await server.create("change/jobs/2", JSON_TYPE)
    const subscription = { type: "pull-wake", pattern: "change/jobs/*", wake_stream: "change/wakes", description: "jobs" }
    await server.send("PUT", "__ds/subscriptions/workers", { "content-type": JSON_TYPE }, JSON.stringify(subscription))
    const tab = await open(browser, `${server.page}/#/subscriptions`)
    await tab.page.getByRole("link", { name: "workers" }).click()
    await tab.page.getByRole("heading", { name: "workers" }).waitFor()
    await tab.sees("The server counts failures, and does not record their reasons.")
    const pending = async () => (await tab.page.locator(".subscription tbody td:last-child").allTextContents()).sort()
    await until("nothing is pending", async () => (await pending()).join() === "none,none")
    await server.append("change/jobs/1", JSON_TYPE, "1")
    await tab.press("Refresh", tab.page.locator(".subscription"))
    await until("one is pending", async () => (await pending())[1]?.startsWith("up to"))
    await until("the generation is shown", async () => (await tab.page.locator("dt:text('Generation') + dd").textContent()) === "1")
    await tab.close()
  })
}
