// Tests, and their count.

const counts = { passed: 0, failed: 0, skipped: 0 }
const only = process.env.DS_PAGE_ONLY

/** Longest wait for a condition that must hold in the end. */
export const PATIENCE_MS = 20_000

let cleanUp = async () => {}

/** Sets the steps that follow each test, also one that fails. */
export const afterEach = (steps) => (cleanUp = steps)

/** Runs one test, and counts its result. `DS_PAGE_ONLY` selects tests by a part of their claims. */
export async function test(claim, run) {
  if (only && !claim.includes(only)) return
  const began = performance.now()
  try {
    await run()
    counts.passed += 1
    console.log(`ok     ${claim} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  } catch (error) {
    counts.failed += 1
    console.log(`FAILED ${claim}: ${error.stack}`)
  }
  await cleanUp()
}

/** Prints the counts, and returns the exit code. */
export function finish() {
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed === 0 ? 0 : 1
}

export function equal(one, other, subject) {
  const [found, wanted] = [one, other].map((value) => JSON.stringify(value))
  if (found !== wanted) throw new Error(`${subject} is ${found}, and not ${wanted}`)
}

export function holds(condition, text) {
  if (!condition) throw new Error(`it does not hold that ${text}`)
}

/** Waits until a condition holds, and returns its value. */
export async function until(text, condition) {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > end) throw new Error(`it never held that ${text}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
