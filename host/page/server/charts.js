// The charts: which metrics they are made of.

import { bytes, figure, seconds } from "../lib/format.js"
import { quantile, rate } from "./metrics.js"

const of = (name, value) => (labels) => labels[name] === value
const isMain = of("listener", "main")
const perSecond = (number) => `${figure(number)}/s`
const bytesPerSecond = (number) => `${bytes(number)}/s`
const DURATION = "request_duration_seconds"

/** Quantiles of the time of one operation. */
const latency = (operation) => ({
  title: `Time of ${operation === "append" ? "appends" : "reads"}`,
  lines: ["p50", "p99"],
  format: seconds,
  needs: `${DURATION}_count`,
  values: (before, after) => [0.5, 0.99].map((part) => quantile(part, before, after, DURATION, of("operation", operation))),
})

/** Charts: a title, lines, the metric that must be there, and the values between two scrapes. */
export const CHARTS = [
  {
    title: "Requests",
    lines: ["Appends", "Reads", "All"],
    format: perSecond,
    needs: "requests_total",
    values: (before, after) => [
      rate(before, after, "requests_total", of("operation", "append")),
      rate(before, after, "requests_total", ({ operation }) => ["read", "long_poll", "sse"].includes(operation)),
      rate(before, after, "requests_total"),
    ],
  },
  {
    title: "Failed requests",
    lines: ["4xx", "5xx"],
    format: perSecond,
    needs: "requests_total",
    values: (before, after) =>
      ["4", "5"].map((digit) => rate(before, after, "requests_total", ({ status }) => status?.startsWith(digit))),
  },
  latency("append"),
  latency("read"),
  {
    title: "Time from a change to its readers",
    lines: ["p50", "p99"],
    format: seconds,
    needs: "wake_duration_seconds_count",
    values: (before, after) => [0.5, 0.99].map((part) => quantile(part, before, after, "wake_duration_seconds")),
  },
  {
    title: "Live readers",
    lines: ["SSE", "Long-poll"],
    format: figure,
    needs: "live_readers",
    values: (_, after) => ["sse", "long_poll"].map((mode) => after.sum("live_readers", (labels) => labels.mode?.replace("-", "_") === mode)),
  },
  {
    title: "Traffic of clients",
    lines: ["Received", "Sent"],
    format: bytesPerSecond,
    isBinary: true,
    needs: "sent_bytes_total",
    values: (before, after) => ["received_bytes_total", "sent_bytes_total"].map((name) => rate(before, after, name, isMain)),
  },
  {
    title: "Connections of clients",
    lines: ["Open"],
    format: figure,
    needs: "connections",
    values: (_, after) => [after.sum("connections", isMain)],
  },
  {
    title: "Log on disk",
    lines: ["Log", "In use"],
    format: bytes,
    isBinary: true,
    needs: "log_bytes",
    absent: "The store of this server has no log on a disk.",
    values: (_, after) => [after.sum("log_bytes"), after.sum("log_live_bytes")],
  },
  {
    title: "Free disk",
    lines: ["Free"],
    format: bytes,
    isBinary: true,
    needs: "disk_free_bytes",
    absent: "The store of this server has no disk.",
    values: (_, after) => [after.sum("disk_free_bytes")],
  },
  {
    title: "Time of syncs",
    lines: ["p50", "p99"],
    format: seconds,
    needs: "log_bytes",
    absent: "The store of this server does not sync to a disk.",
    values: (before, after) => [0.5, 0.99].map((part) => quantile(part, before, after, "log_sync_duration_seconds")),
  },
  {
    title: "Memory of the server",
    lines: ["Resident"],
    format: bytes,
    isBinary: true,
    needs: "process_resident_memory_bytes",
    values: (_, after) => [after.sum("process_resident_memory_bytes")],
  },
  {
    title: "CPU of the server",
    lines: ["Cores in use"],
    format: figure,
    needs: "process_cpu_seconds_total",
    values: (before, after) => [rate(before, after, "process_cpu_seconds_total")],
  },
  {
    title: "Steps that wait for an instance",
    lines: ["Short", "Long"],
    format: figure,
    needs: "queued_steps",
    absent: "The server counts these only with --via exchange.",
    values: (_, after) => ["short", "long"].map((length) => after.sum("queued_steps", of("length", length))),
  },
]
