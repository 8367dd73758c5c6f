// The page as a person uses it: node run.mjs HOST CHROMIUM [SHOTS]
//
// HOST is the `durable-streams` program, CHROMIUM the path of a Chromium, and SHOTS a directory for
// screenshots. The last line is "N passed, N failed, N skipped".
import { mkdirSync } from "node:fs"
import { chromium } from "playwright-core"
import { accessTests } from "./access.mjs"
import { changeTests } from "./change.mjs"
import { failureTests } from "./failures.mjs"
import { findTests } from "./find.mjs"
import { afterEach, finish, test } from "./harness.mjs"
import { hostileTests } from "./hostile.mjs"
import { Server } from "./server.mjs"
import { closeAll, expectNoBreakage } from "./tab.mjs"
import { watchTests } from "./watch.mjs"
import { prepareWide, wideTests } from "./wide.mjs"

const [host, executablePath, shots] = process.argv.slice(2)
if (!executablePath) {
  console.error("usage: node run.mjs HOST CHROMIUM [SHOTS]")
  process.exit(2)
}
if (shots) mkdirSync(shots, { recursive: true })

afterEach(closeAll)
const browser = await chromium.launch({ executablePath })
const server = await Server.start(host)
await findTests(browser, server)
await watchTests(browser, server)
await changeTests(browser, server)
await hostileTests(browser, server)
await accessTests(browser, server, shots)
await failureTests(browser, host, server)
const wide = await Server.start(host)
await prepareWide(wide)
await wideTests(browser, wide)
await test("no tab had an error that was not caught, or broke its policy", expectNoBreakage)
await browser.close()
await Promise.all([server.end(), wide.end()])
process.exit(finish())
