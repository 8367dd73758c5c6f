// The official suite, pinned in package.json, against the server at the URL that run.mjs got.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({
  baseUrl: process.env.CONFORMANCE_URL,
  // A waiting test allows the server one second more than this.
  longPollTimeoutMs: Number(process.env.CONFORMANCE_LONG_POLL_MS),
  subscriptions: process.env.CONFORMANCE_SUBSCRIPTIONS === "true",
})
