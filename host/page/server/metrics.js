// Metrics in Prometheus' text format.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

const ESCAPES = { n: "\n", "\\": "\\", '"': '"' }

function labelsOf(text = "") {
  const labels = {}
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => ESCAPES[escaped] ?? escaped)
  }
  return labels
}

/** Parses a scrape into a map from the name of a metric to its series: labels and value. */
export function parse(text) {
  const metrics = new Map()
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line)
    if (!match) continue
    const [, name, labels, value] = match
    if (!metrics.has(name)) metrics.set(name, [])
    metrics.get(name).push({ labels: labelsOf(labels), value: Number(value.replace("Inf", "Infinity")) })
  }
  return metrics
}

const PREFIX = "durable_streams_"

/** One scrape, at a time in seconds. */
export class Scrape {
  constructor(text, at) {
    this.metrics = parse(text)
    this.at = at
  }

  series(name) {
    return this.metrics.get(PREFIX + name) ?? []
  }

  /** Whether the server has a metric. */
  has(name) {
    return this.series(name).length > 0
  }

  /** The sum of the series that `wants` selects by their labels. */
  sum(name, wants = () => true) {
    return this.series(name).reduce((sum, { labels, value }) => (wants(labels) ? sum + value : sum), 0)
  }
}

/** Growth of a counter a second between two scrapes. A counter that fell began anew. */
export function rate(before, after, name, wants) {
  const [one, other] = [before.sum(name, wants), after.sum(name, wants)]
  const secs = after.at - before.at
  return secs > 0 ? Math.max(0, other < one ? other : other - one) / secs : 0
}

/** The buckets of a histogram: upper bounds in order, and the growth of their counts. */
function buckets(before, after, name, wants) {
  const grown = new Map()
  const add = (scrape, sign) => {
    for (const { labels, value } of scrape.series(`${name}_bucket`)) {
      if (!wants(labels)) continue
      const bound = Number(labels.le.replace("Inf", "Infinity"))
      grown.set(bound, (grown.get(bound) ?? 0) + sign * value)
    }
  }
  add(after, 1)
  const isNew = after.sum(`${name}_count`, wants) < before.sum(`${name}_count`, wants)
  if (!isNew) add(before, -1)
  return [...grown].sort(([one], [other]) => one - other)
}

/**
 * A quantile of the durations between two scrapes, in seconds, as Prometheus estimates it. NaN without
 * any.
 */
export function quantile(part, before, after, name, wants = () => true) {
  const sorted = buckets(before, after, name, wants)
  const total = sorted.at(-1)?.[1] ?? 0
  if (!(total > 0)) return NaN
  const rank = part * total
  let [low, below] = [0, 0]
  for (const [bound, count] of sorted) {
    if (count >= rank) {
      if (bound === Infinity) return low
      return low + (bound - low) * ((rank - below) / Math.max(count - below, 1e-9))
    }
    ;[low, below] = [bound, count]
  }
  return low
}
