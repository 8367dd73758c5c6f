// The server under test, and a client that prepares its streams. Servers end with the test.
import { spawn } from "node:child_process"
import { connect } from "node:net"

const children = new Set()
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")))

/** A running host. It has the page on its admin listener. */
export class Server {
  /** Starts a host. `admin` and `listen` are addresses to listen on. */
  static async start(program, { store = "memory", variables = {}, admin = "127.0.0.1:0", listen = "127.0.0.1:0" } = {}) {
    const settings = Object.entries(variables).flatMap(([name, value]) => ["--variable", `${name}=${value}`])
    const args = ["serve", "--listen", listen, "--admin", admin, "--store", store, ...settings]
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
    children.add(child)
    const server = new Server(child)
    server.again = { program, store, variables }
    const [admins, mains] = await server.printed(/admin page at (http:\S+)/, /listening on (http:\S+)/)
    server.page = admins.replace(/\/$/, "")
    server.url = `${mains}/v1/stream`
    return server
  }

  constructor(child) {
    this.child = child
    this.ended = new Promise((resolve) => child.once("close", resolve))
    this.ended.then(() => children.delete(child))
  }

  /** Waits until the host printed lines that match. */
  printed(...patterns) {
    let output = ""
    return new Promise((resolve, reject) => {
      const look = (data) => {
        output += data
        const found = patterns.map((pattern) => output.match(pattern)?.[1])
        if (found.every(Boolean)) resolve(found)
      }
      this.child.stdout.on("data", look)
      this.child.stderr.on("data", look)
      this.ended.then(() => reject(new Error(`the host ended: ${output}`)))
    })
  }

  /** Ends the host. */
  end(signal = "SIGTERM") {
    this.child.kill(signal)
    return this.ended
  }

  /** Starts the host again, at the same addresses. */
  restart() {
    const [admin, listen] = [this.page, this.url].map((url) => new URL(url).host)
    return Server.start(this.again.program, { ...this.again, admin, listen })
  }

  /** The URL of a stream. */
  at(name) {
    return `${this.url}/${name.split("/").map(encodeURIComponent).join("/")}`
  }

  /** A request that must succeed. */
  async send(method, name, headers = {}, body = undefined) {
    const response = await fetch(this.at(name), { method, headers, body })
    if (!response.ok) throw new Error(`${method} ${name}: ${response.status} ${await response.text()}`)
    return response
  }

  create(name, type, body, headers = {}) {
    return this.send("PUT", name, { "content-type": type, ...headers }, body)
  }

  append(name, type, body, headers = {}) {
    return this.send("POST", name, { "content-type": type, ...headers }, body)
  }

  /** The whole content of a stream's first page. */
  async read(name, headers = {}) {
    return (await this.send("GET", name, headers)).text()
  }

  /** A pipeline of requests, for many of them in a short time. */
  pipeline() {
    return new Pipeline(new URL(this.url))
  }
}

/** One connection with many requests under way. */
class Pipeline {
  constructor({ hostname, port }) {
    this.host = `${hostname}:${port}`
    this.socket = connect(Number(port), hostname)
    this.answered = 0
    this.sent = 0
    this.refused = 0
    this.rest = ""
    this.socket.on("data", (data) => this.read(data.toString("latin1")))
  }

  read(text) {
    // Answers to writes have no body, unless they are refused.
    const heads = (this.rest + text).split("\r\n\r\n")
    this.rest = heads.pop()
    for (const head of heads) {
      const [, status] = /HTTP\/1\.1 (\d{3})/.exec(head) ?? []
      this.answered += 1
      if (!status?.startsWith("2")) this.refused += 1
    }
    if (this.answered >= this.sent) this.done?.()
  }

  send(method, path, type, body = "") {
    this.sent += 1
    const head = `${method} ${path} HTTP/1.1\r\nhost: ${this.host}\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
    return this.socket.write(head + body)
  }

  /** Waits until all requests are answered. */
  async drained() {
    if (this.answered < this.sent) await new Promise((resolve) => (this.done = resolve))
    if (this.refused) throw new Error(`${this.refused} requests were refused`)
  }

  end() {
    this.socket.destroy()
  }
}

/** Creates streams whose names `name(number)` gives. */
export async function createMany(server, count, name) {
  const pipes = Array.from({ length: 4 }, () => server.pipeline())
  for (let at = 0; at < count; at += 1) {
    pipes[at % pipes.length].send("PUT", `/v1/stream/${name(at)}`, "application/json")
    // Requests that wait in this process take memory.
    if (at % 8000 === 7999) await Promise.all(pipes.map((pipe) => pipe.drained()))
  }
  await Promise.all(pipes.map((pipe) => pipe.drained()))
  pipes.forEach((pipe) => pipe.end())
}
