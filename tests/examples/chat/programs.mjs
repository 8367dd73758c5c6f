// Programs that the test of the chat starts. They end with the test.
import { spawn } from "node:child_process"

const children = new Set()
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")))

/** Longest wait for a condition that must hold in the end. */
export const PATIENCE_MS = 60_000

/** Starts a program, and waits for a line with `ready` and a URL. */
async function start(program, args, env, ready) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  children.add(child)
  let output = ""
  const waiting = new Set()
  const hear = (data) => {
    output += data
    waiting.forEach((look) => look())
  }
  child.stdout.on("data", hear)
  child.stderr.on("data", hear)
  const ended = new Promise((resolve) => child.once("close", resolve))
  ended.then(() => children.delete(child))
  /** Waits for output that matches. */
  const says = (pattern) =>
    new Promise((resolve, reject) => {
      const fail = (why) => () => reject(new Error(`${program} ${why}, and not ${pattern}: ${output}`))
      const late = setTimeout(fail("printed this"), PATIENCE_MS)
      ended.then(fail("ended"))
      const look = () => {
        const match = output.match(pattern)
        if (!match) return
        clearTimeout(late)
        waiting.delete(look)
        resolve(match)
      }
      waiting.add(look)
      look()
    })
  const end = (signal) => {
    child.kill(signal)
    return ended
  }
  const [, url] = await says(ready).catch(async (error) => {
    await end("SIGKILL")
    throw error
  })
  return { url, says, end, output: () => output }
}

/** Starts a stream server with its streams in `directory`. */
export function startStreams(host, { directory, secret, listen = "127.0.0.1:0" }) {
  const args = ["serve", "--listen", listen, "--store", `file:${directory}`]
  return start(host, args, { DS_AUTH_HS256_SECRET: secret }, /listening on (http:\S+)/)
}

/** Starts the chat's server. */
export function startChat({ streams, secret, lease }) {
  const env = { PORT: "0", STREAMS: `${streams}/v1/stream`, STREAMS_SECRET: secret, LEASE_SECS: `${lease}` }
  return start(process.execPath, [new URL("server.mjs", import.meta.url).pathname], env, /chat on (http:\S+)/)
}
