// A proxy in front of the page's server that is slow, lacks things, or holds events back.
import { createServer, request } from "node:http"

/**
 * Starts the proxy. `rules(request)` may return `{ delay }` in milliseconds, `{ status, body }` for an
 * answer of its own, `{ hold: true }` to keep every byte of a body, or `{ cut: true }` to break the
 * connection.
 */
export function startFront(target, rules) {
  const { hostname, port } = new URL(target)
  const fronts = { rules, live: 0, mostLive: 0 }
  const server = createServer(async (asked, answer) => {
    const rule = fronts.rules(asked) ?? {}
    if (rule.delay) await new Promise((resolve) => setTimeout(resolve, rule.delay))
    if (rule.cut) return answer.destroy()
    if (rule.status) {
      answer.writeHead(rule.status, { "content-type": rule.type ?? "text/plain" })
      return answer.end(rule.body ?? "")
    }
    const isLive = asked.url.includes("live=")
    if (isLive) fronts.mostLive = Math.max(fronts.mostLive, (fronts.live += 1))
    const { method, url: path, headers } = asked
    const forwarded = request({ hostname, port, method, path, headers }, (response) => {
      answer.writeHead(response.statusCode, response.headers)
      if (rule.hold) answer.flushHeaders()
      else response.pipe(answer)
    })
    forwarded.on("error", () => answer.destroy())
    answer.on("close", () => {
      forwarded.destroy()
      if (isLive) fronts.live -= 1
    })
    asked.pipe(forwarded)
  })
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      fronts.page = `http://127.0.0.1:${server.address().port}`
      fronts.end = () => {
        server.closeAllConnections()
        server.close()
      }
      resolve(fronts)
    })
  })
}
