// Runs every example against a server: node run.mjs BASE_URL [PYTHON]
//
// PYTHON is a Python with the packages of requirements.txt; without it the Python examples are skipped.
// The last line is "N passed, N failed, N skipped".
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const [base, python] = process.argv.slice(2)
if (!base) {
  console.error("usage: node run.mjs BASE_URL [PYTHON]")
  process.exit(2)
}

const counts = { passed: 0, failed: 0, skipped: 0 }
const directory = mkdtempSync(join(tmpdir(), "examples-"))
const json = { "content-type": "application/json" }

function claim(text, holds, detail) {
  counts[holds ? "passed" : "failed"] += 1
  console.log(`${holds ? "ok    " : "FAILED"} ${text}${holds ? "" : ` (${detail})`}`)
}

/** Runs a program to its end, or until its output contains `until`. */
function run(program, args, until) {
  const child = spawn(program, args, { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  let seen
  const found = new Promise((resolve) => {
    seen = resolve
  })
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.on("data", (data) => {
      output += data
      if (until && output.includes(until)) seen()
    })
  }
  const ended = new Promise((resolve) => {
    child.on("close", (status) => resolve({ status, output }))
  })
  return { child, found: Promise.race([found, ended]), ended, output: () => output }
}

const node = (...args) => run(process.execPath, args).ended

async function expect(text, ended, wanted) {
  const { status, output } = await ended
  claim(text, status === 0 && output.includes(wanted), output.trim())
}

async function writersAndReaders() {
  const url = `${base}/examples/${randomUUID()}`
  const offset = join(directory, "offset")
  await expect("writer.mjs writes", node("writer.mjs", url, "50"), "wrote 50 messages")
  await expect("reader.mjs reads", node("reader.mjs", url, offset), "read 50 messages")
  await expect("reader.mjs resumes", node("reader.mjs", url, offset), "read 0 messages")
}

async function workers() {
  const path = `examples/${randomUUID()}`
  const url = `${base}/${path}`
  await fetch(url, { method: "PUT", headers: json })
  const worker = run(process.execPath, ["worker.mjs", base, path], "ready")
  await worker.found
  await fetch(url, { method: "POST", headers: json, body: '{"job":1}' })
  const wanted = `${path}: {"job":1}`
  const end = Date.now() + 60_000
  while (!worker.output().includes(wanted) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  claim("worker.mjs gets the job", worker.output().includes(wanted), worker.output())
  worker.child.kill()
  await worker.ended
}

async function pythonExamples() {
  if (!python) {
    counts.skipped += 2
    console.log("skipped: the Python examples need a Python with the packages of requirements.txt")
    return
  }
  const url = `${base}/examples/${randomUUID()}`
  const offset = join(directory, "offset-py")
  const py = (...args) => run(python, args).ended
  await expect("writer.py writes", py("writer.py", url, "20"), "wrote 20 messages")
  await expect("writer.py writes nothing twice", py("writer.py", url, "20"), "wrote 20 messages")
  await expect("reader.py reads", py("reader.py", url, offset), "read 20 messages")
  await expect("reader.py resumes", py("reader.py", url, offset), "read 0 messages")
}

await writersAndReaders()
await workers()
await expect("document.mjs shares a document", node("document.mjs", base), "all three have 11 characters")
const chat = "the reloaded chat has 50 words, in order"
await expect("tanstack.mjs continues a chat after a reload", node("tanstack.mjs", base), chat)
await pythonExamples()
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exit(counts.failed === 0 ? 0 : 1)
