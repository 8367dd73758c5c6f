// What a script claims of a server. The last line of each is "N passed, N failed, N skipped".

let passed = 0
let failed = 0

/** Notes whether a claim holds. */
export function claim(what, holds, detail = "") {
  if (holds) passed += 1
  else failed += 1
  console.log(`${holds ? "ok    " : "FAILED"} ${what}${detail && ` (${detail})`}`)
}

/** Says how many claims held, and ends. */
export function finish() {
  console.log(`${passed} passed, ${failed} failed, 0 skipped`)
  process.exit(failed === 0 ? 0 : 1)
}
