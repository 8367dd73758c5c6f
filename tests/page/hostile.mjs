// Names and contents that try to become a part of the page.
import { equal, holds, test, until } from "./harness.mjs"
import { open, streamAt } from "./tab.mjs"

const SCRIPT = `<script>alert(1)</script><img src=x onerror="alert(2)">`
const NAMES = [
  SCRIPT.replaceAll("/", "⁄"),
  "hostile/\u202egnp.txt",
  "hostile/עברית מימין",
  "hostile/%2e%2e%2fpercent",
  "hostile/?query#fragment",
  `hostile/${"long-".repeat(203)}`,
  "hostile/👩‍👩‍👧 \u200binvisible",
  "__proto__",
]

export async function hostileTests(browser, server) {
  for (const name of NAMES) await server.create(name, "text/plain", SCRIPT)

  await test("names of scripts, of the other direction and of 1,024 bytes are listed and opened", async () => {
    const tab = await open(browser, server.page)
    for (const name of NAMES) {
      await tab.find(name)
      await tab.summary("1 stream loaded. That is all.")
      const plain = name.replace("\u202e", "U+202E").replace("\u200b", "U+200B")
      await tab.lists([plain])
      await tab.page.locator(".table .rows a").first().click()
      await until("the content is shown as text", async () => (await tab.text()) === SCRIPT)
      equal(await tab.page.locator(".stream h1").textContent(), plain, "the heading")
      await tab.page.reload()
      await until("the content is shown after a reload", async () => (await tab.text()) === SCRIPT)
      await tab.page.goto(server.page)
    }
    equal(await tab.page.locator("main img, main script").count(), 0, "elements from content")
    await tab.close()
  })

  await test("long names do not widen a narrow page", async () => {
    const tab = await open(browser, streamAt(server.page, NAMES[5]), { size: [360, 740] })
    await tab.phase("Live")
    const width = await tab.page.evaluate(() => document.documentElement.scrollWidth)
    holds(width <= 360, `the page is at most as wide as the window, and not ${width}`)
    await tab.close()
  })

  await test("JSON with scripts, surrogates and the names of prototypes is shown as it is", async () => {
    const message = `{"__proto__":{"x":1},"constructor":"${SCRIPT.replaceAll('"', "'")}","bidi":"a\u202eb","lone":"\\ud800","":0}`
    await server.create("hostile/json", "application/json", `[${message}]`)
    const tab = await open(browser, streamAt(server.page, "hostile/json"))
    await until("it is shown", async () => (await tab.messages()).join() === message)
    await tab.page.locator(".json .row").first().click()
    await until("all values are shown", async () => (await tab.page.locator(".json .row").count()) === 6)
    const labels = await tab.page.locator(".json .label").allTextContents()
    equal(labels, ["__proto__:", "constructor:", "bidi:", "lone:", ":"].slice(0, labels.length), "the labels")
    await tab.page.locator(".json .row", { hasText: "__proto__:" }).click()
    await until("the value opens", async () => (await tab.page.locator(".json .row").count()) === 7)
    await tab.close()
  })

  await test("a reason of a close and a content type are shown as text", async () => {
    await server.create("hostile/type", `text/html;x="<b>"`, "<h1>no heading</h1>")
    const tab = await open(browser, streamAt(server.page, "hostile/type"))
    await until("the content is text", async () => (await tab.text()) === "<h1>no heading</h1>")
    equal(await tab.fact("Content type"), `text/html;x="<b>"`, "the type")
    await tab.close()
  })

  await test("another site can't put the page into a frame, and scripts in the page can't be inline", async () => {
    const { headers } = await fetch(server.page)
    const policy = headers.get("content-security-policy")
    holds(policy.includes("frame-ancestors 'none'") && !policy.includes("unsafe"), `the policy is strict: ${policy}`)
    const tab = await open(browser, server.page)
    // The browser reports the planted script, which is no fault of the page.
    tab.page.removeAllListeners("console")
    const ran = await tab.page.evaluate(() => {
      const violated = new Promise((resolve) => document.addEventListener("securitypolicyviolation", () => resolve(true)))
      document.body.setAttribute("onclick", "window.planted = true")
      document.body.click()
      return Promise.race([violated, new Promise((resolve) => setTimeout(() => resolve(window.planted), 1000))])
    })
    equal(ran, true, "a violation of the policy")
    equal(await tab.page.evaluate(() => window.planted), undefined, "the planted script")
    await tab.close()
  })
}
