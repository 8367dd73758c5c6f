// A tab with the page, driven like a person.
import { PATIENCE_MS, until } from "./harness.mjs"

/** Failures of the page that no test expects. */
const broken = []

/** Console lines that the browser writes for answers that tests expect. */
const EXPECTED = /Failed to load resource|net::ERR_/

/** Throws if any tab had an error that was not caught, or broke its policy. */
export function expectNoBreakage() {
  if (broken.length) throw new Error(broken.splice(0).join("\n"))
}

/** Opens a tab of its own device at a view. */
export async function open(browser, url, { size = [1280, 800], dark = false, context = {}, shared = null } = {}) {
  const [width, height] = size
  const device = shared ?? (await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", ...context }))
  devices.add(device)
  const page = await device.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  page.on("pageerror", (error) => broken.push(`${error.stack}`))
  page.on("console", (line) => {
    if (line.type() === "error" && !EXPECTED.test(line.text())) broken.push(line.text())
  })
  page.on("dialog", (dialog) => {
    broken.push(`a dialog of the browser: ${dialog.message()}`)
    dialog.dismiss()
  })
  await page.goto(url)
  return new Tab(page, device)
}

const devices = new Set()

/** Closes the tabs that a test left open, since it failed. */
export async function closeAll() {
  await Promise.all([...devices].map((device) => device.close()))
  devices.clear()
}

/** The route to a stream. */
export const streamAt = (page, name, query = "") => `${page}/#/stream/${encodeURIComponent(name)}${query}`

/** A tab. Its methods are what a person does and sees. */
export class Tab {
  constructor(page, device) {
    this.page = page
    this.device = device
  }

  /** Presses the button with exactly this text. */
  press(name, within = this.page) {
    return within.getByRole("button", { name, exact: true }).click()
  }

  get dialog() {
    return this.page.getByRole("dialog")
  }

  /** Fills fields of the open dialog by their labels, and presses its button. */
  async answer(fields, name) {
    for (const [label, value] of Object.entries(fields)) await this.dialog.getByLabel(label).fill(value)
    await this.press(name, this.dialog)
  }

  /** Waits for a text in the page. */
  sees(text) {
    return this.page.getByText(text).first().waitFor()
  }

  /** Waits for the state of the connection. */
  phase(text) {
    return this.page.locator(".phase", { hasText: text }).waitFor()
  }

  /** The names in the visible rows of the list. */
  names() {
    return this.page.locator(".table .rows bdi.name").allTextContents()
  }

  /** Waits until the visible rows have these names, in this order. */
  async lists(names) {
    await until(`the list has ${names}`, async () => String(await this.names()) === String(names))
  }

  /** The text of the summary above the list. */
  summary(text) {
    return this.page.locator(".list .summary", { hasText: text }).waitFor()
  }

  /** The visible messages of the JSON view. */
  messages() {
    return this.page.locator(".json .row .preview").allTextContents()
  }

  /** The text of the text view. */
  text() {
    return this.page.locator(".text .block").allTextContents().then((blocks) => blocks.join("\n"))
  }

  /** The value of a fact, by its term. */
  fact(term) {
    return this.page.locator(".facts dt", { hasText: new RegExp(`^${term}$`) }).locator("+ dd").textContent()
  }

  /** Searches the list. */
  async find(text, match = "begins with") {
    await this.page.getByLabel("Match").selectOption(match)
    await this.page.getByRole("searchbox").fill(text)
    await this.page.getByRole("searchbox").press("Enter")
  }

  /** Shows the content as JSON, text or bytes. */
  showAs(kind) {
    return this.page.getByRole("radio", { name: kind, exact: true }).check()
  }

  close() {
    devices.delete(this.device)
    return this.device.close()
  }
}
