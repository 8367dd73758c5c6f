// A pretended language model, so that the example needs no key and no network.
//
// "count to 100" makes it count. "think 20 s, then count to 5" makes it silent for a while first. Any
// other question gets a count to 20.
import { MockLanguageModelV3 } from "ai/test"
import { setTimeout as after } from "node:timers/promises"

/** Pause between two words, in milliseconds. */
const PAUSE_MS = 20

async function* parts({ prompt, abortSignal }) {
  const question = prompt.at(-1).content.map((part) => part.text).join("")
  const [, seconds = 0] = question.match(/think (\d+) s/) ?? []
  const [, last = 20] = question.match(/count to (\d+)/) ?? []
  yield { type: "stream-start", warnings: [] }
  await after(seconds * 1000, undefined, { signal: abortSignal })
  yield { type: "text-start", id: "1" }
  for (let number = 1; number <= last; number += 1) {
    yield { type: "text-delta", id: "1", delta: `${number} ` }
    await after(PAUSE_MS, undefined, { signal: abortSignal })
  }
  yield { type: "text-end", id: "1" }
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: Number(last) } }
  yield { type: "finish", finishReason: { unified: "stop", raw: "stop" }, usage }
}

export const model = new MockLanguageModelV3({
  doStream: async (options) => ({ stream: ReadableStream.from(parts(options)) }),
})
