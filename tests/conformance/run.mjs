// Runs the official suite once: node run.mjs URL [--long-poll-ms N] [--filter TEXT]
//
// skips.json lists the groups that are left out, and the number of tests in each. The run fails when
// the suite's own numbers differ, so that no test is lost unnoticed.
// The last line is "N passed, N failed, N skipped".
import { readFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { startVitest } from "vitest/node"

const here = dirname(fileURLToPath(import.meta.url))
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "long-poll-ms": { type: "string", default: "2000" },
    filter: { type: "string" },
  },
})
const [url] = positionals
if (!url) {
  console.error("usage: node run.mjs URL [--long-poll-ms N] [--filter TEXT]")
  process.exit(2)
}

const skips = JSON.parse(readFileSync(new URL("skips.json", import.meta.url), "utf8"))
const groupOf = (name) => skips.groups.find((group) => new RegExp(group.pattern).test(name))

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
const unwanted = skips.groups.map((group) => `(?!${group.pattern.replace(/^\^/, "")})`).join("")
// Vitest matches the names of a test and its groups, joined with spaces.
const pattern = new RegExp(`^${unwanted}.*${values.filter ? escape(values.filter) : ""}`)

process.env.CONFORMANCE_URL = url
process.env.CONFORMANCE_LONG_POLL_MS = values["long-poll-ms"]
process.env.CONFORMANCE_SUBSCRIPTIONS = "true"

const vitest = await startVitest("test", [], {
  root: here,
  config: false,
  include: ["suite.test.mjs"],
  watch: false,
  testNamePattern: pattern,
  // The default of 5 s would make the result depend on the machine and on its disk.
  testTimeout: 60_000,
  reporters: [{}],
})

const fullName = (test) => {
  const names = []
  for (let at = test; at && at.type !== "module"; at = at.parent) names.unshift(at.name)
  return names.join(" > ")
}

let passed = 0
let failed = 0
let skipped = 0
let total = 0
const inGroup = new Map(skips.groups.map((group) => [group, 0]))
for (const module of vitest?.state.getTestModules() ?? []) {
  for (const error of module.errors()) {
    console.log(`BROKEN ${error.message}`)
    failed += 1
  }
  for (const test of module.children.allTests()) {
    total += 1
    const name = fullName(test)
    const group = groupOf(name)
    if (group) inGroup.set(group, inGroup.get(group) + 1)
    const { state, errors } = test.result()
    if (state === "passed") passed += 1
    else if (state === "failed") {
      failed += 1
      console.log(`FAILED ${name}`)
      for (const error of errors) console.log(`       ${error.message.split("\n").join("\n       ")}`)
    } else skipped += 1
  }
}
await vitest?.close()
const ran = passed + failed

const same = (what, found, expected) => {
  if (found === expected) return
  failed += 1
  console.log(`FAILED ${what}: ${found}, expected ${expected} (skips.json)`)
}
for (const group of skips.groups) {
  same(`number of tests of ${group.pattern}`, inGroup.get(group), group.tests)
  console.log(`left out: ${group.tests} tests of ${group.pattern} (${group.reason})`)
}
same("number of tests in the suite", total, skips.total)
const leftOut = skips.groups.reduce((sum, group) => sum + group.tests, 0)
if (!values.filter) same("number of tests that ran", ran, skips.total - leftOut)
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
