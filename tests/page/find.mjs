// Finding a stream in the list.
import { equal, holds, test, until } from "./harness.mjs"
import { open, streamAt } from "./tab.mjs"

export async function findTests(browser, server) {
  const names = ["found/a/1", "found/a/2", "found/ab", "found/b", "other/found"]
  for (const name of names) await server.create(name, "text/plain", name)

  await test("names are found by their beginning, and by a part", async () => {
    const tab = await open(browser, server.page)
    await tab.find("found/a")
    await tab.summary("3 streams loaded. That is all.")
    await tab.press("Name")
    await tab.lists(["found/a/1", "found/a/2", "found/ab"])
    await tab.find("found/a/")
    await tab.summary("2 streams loaded")
    await tab.find("found", "contains")
    await tab.summary("5 streams loaded")
    await tab.find("no-such-name", "contains")
    await tab.sees("No stream matches.")
    await tab.close()
  })

  await test("a search is in the URL, so a reload and the back button keep it", async () => {
    const tab = await open(browser, server.page)
    await tab.find("found/a")
    await tab.summary("3 streams")
    await tab.page.reload()
    await tab.summary("3 streams")
    await tab.page.getByRole("link", { name: "found/ab" }).click()
    await tab.page.getByRole("heading", { name: "found/ab" }).waitFor()
    await tab.page.goBack()
    await tab.sees("Choose a stream")
    equal(await tab.page.getByRole("searchbox").inputValue(), "found/a", "the search")
    await tab.close()
  })

  await test("a stream is opened by its exact name", async () => {
    const tab = await open(browser, server.page)
    await tab.page.getByRole("searchbox").fill("found/b")
    await tab.press("Open")
    await tab.sees("found/b")
    await until("the content is shown", async () => (await tab.text()) === "found/b")
    await tab.close()
  })

  await test("a column sorts the loaded rows, and the page says that it is only those", async () => {
    const tab = await open(browser, `${server.page}/#/streams?q=found`)
    await tab.summary("4 streams loaded")
    await tab.press("Name")
    await tab.summary("Only the loaded rows are sorted.")
    await tab.lists(["found/a/1", "found/a/2", "found/ab", "found/b"])
    await tab.press("Name")
    await tab.lists(["found/b", "found/ab", "found/a/2", "found/a/1"])
    await tab.page.locator("[aria-sort=descending]", { hasText: "Name" }).waitFor()
    await tab.close()
  })

  await test("the keyboard alone finds and opens a stream", async () => {
    const tab = await open(browser, `${server.page}/#/streams?q=found`)
    await tab.summary("4 streams loaded")
    await tab.press("Name")
    const { keyboard } = tab.page
    await tab.page.getByRole("searchbox").focus()
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowDown")
    await keyboard.press("Enter")
    await tab.page.getByRole("heading", { name: "found/a/2" }).waitFor()
    const isFocused = () => tab.page.evaluate(() => document.activeElement.tagName === "H1")
    await until("the heading has the focus", isFocused)
    await tab.close()
  })

  await test("a stream that does not exist is a sentence with a button to try again", async () => {
    const tab = await open(browser, streamAt(server.page, "found/later"))
    await tab.page.getByRole("alert").waitFor()
    await server.create("found/later", "text/plain", "here")
    await tab.press("Try again")
    await until("the content is shown", async () => (await tab.text()) === "here")
    await tab.close()
  })

  await test("names that are no streams are refused with the reason", async () => {
    const tab = await open(browser, server.page)
    for (const [name, reason] of [
      ["a/../b", "A name cannot have a segment . or .."],
      ["a//b", "A name cannot have an empty segment."],
      ["__ds/streams", "Names that begin with __ds are reserved."],
    ]) {
      await tab.page.goto(streamAt(server.page, name))
      await tab.sees(reason)
    }
    holds(await tab.page.getByRole("heading").first().isVisible(), "the name is shown")
    await tab.close()
  })
}
