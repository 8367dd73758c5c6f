// The official suite, pinned in package.json, against the server whose URL run.mjs was given.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({
  baseUrl: process.env.CONFORMANCE_URL,
  // One more second than this is what a waiting test allows the server.
  longPollTimeoutMs: Number(process.env.CONFORMANCE_LONG_POLL_MS),
  subscriptions: process.env.CONFORMANCE_SUBSCRIPTIONS === "true",
})
