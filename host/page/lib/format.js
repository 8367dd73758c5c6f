// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat("en")
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 })
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

export const count = (number) => whole.format(number)

/** A count with its noun. */
export const counted = (number, noun, plural = `${noun}s`) => `${count(number)} ${number === 1 ? noun : plural}`

/** A size in bytes, in a binary unit. */
export function bytes(number) {
  let unit = 0
  while (Math.abs(number) >= 1024 && unit < UNITS.length - 1) {
    number /= 1024
    unit += 1
  }
  return `${unit === 0 ? whole.format(Math.round(number)) : short.format(number)} ${UNITS[unit]}`
}

/** A rate or another plain figure. */
export const figure = (number) => (Math.abs(number) >= 1000 ? whole.format(Math.round(number)) : short.format(number))

/** A short time in seconds, from microseconds to seconds. */
export function seconds(number) {
  if (number >= 1) return `${short.format(number)} s`
  if (number >= 0.001) return `${short.format(number * 1000)} ms`
  return `${short.format(number * 1e6)} µs`
}

/** A duration in whole seconds, in its two largest units. */
export function duration(secs) {
  const parts = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ]
  let left = Math.max(0, Math.round(secs))
  const shown = []
  for (const [unit, size] of parts) {
    const number = Math.floor(left / size)
    left -= number * size
    if (number > 0) shown.push(`${number} ${unit}`)
  }
  return shown.slice(0, 2).join(" ") || "0 s"
}

/** The age of a time stamp, such as `3 min ago`. */
export function age(stamp, now = Date.now()) {
  const secs = (now - Date.parse(stamp)) / 1000
  if (Number.isNaN(secs)) return stamp
  if (secs < 1) return "now"
  return `${duration(secs).split(" ").slice(0, 2).join(" ")} ago`
}

/** A time stamp in the reader's zone. */
export function time(stamp) {
  const date = new Date(stamp)
  if (Number.isNaN(date.getTime())) return stamp
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" })
}

/** Time until a time stamp, in words. */
export function until(stamp, now = Date.now()) {
  const secs = (Date.parse(stamp) - now) / 1000
  if (Number.isNaN(secs)) return stamp
  return secs > 0 ? `in ${duration(Math.ceil(secs))}` : "due"
}
