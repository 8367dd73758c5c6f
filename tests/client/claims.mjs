// Claims of a script about a server. The last line of each script is "N passed, N failed, N skipped".

let passed = 0
let failed = 0

/** Counts and prints whether a claim holds. */
export function claim(what, holds, detail = "") {
  if (holds) passed += 1
  else failed += 1
  console.log(`${holds ? "ok    " : "FAILED"} ${what}${detail && ` (${detail})`}`)
}

/** Prints the counts, and ends the process. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed, 0 skipped`)
  process.exit(failed === 0 ? 0 : 1)
}
