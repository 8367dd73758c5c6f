// Writes one answer of a language model into a stream of its own.
import {
  BackoffDefaults,
  createFetchWithBackoff,
  DurableStream,
  IdempotentProducer,
} from "@durable-streams/client"
import { streamText } from "ai"
import { setTimeout as after } from "node:timers/promises"

/** Repeats a request until the server takes it or refuses it. A restart of the server only delays it. */
const send = createFetchWithBackoff(fetch, { ...BackoffDefaults, maxDelay: 1000 })

/** Creates the stream of an answer. If its writer is silent for `lease` seconds, the server closes it. */
export async function create({ url, headers, lease }) {
  const contentType = "application/json"
  await DurableStream.create({ url, contentType, headers: { ...headers, "stream-lease": `${lease}` } })
}

/** Writes the answer, and closes the stream. Returns the reason with which the stream was closed. */
export async function write({ url, headers, lease, model, prompt }) {
  // Aborts the model and all requests. The first refused request does so: the answer was stopped, or this
  // process was silent for longer than its lease.
  const over = new AbortController()
  const { signal } = over
  const refuse = (error) => over.abort(error)
  const post = (fields) => send(url, { method: "POST", headers: { ...headers, ...fields }, signal })
  /** Tells the server that this process lives, for a model that is silent for longer than the lease. */
  const beat = async () => {
    for (;;) {
      await after((lease * 1000) / 3, undefined, { signal })
      await post({ "stream-lease": `${lease}` })
    }
  }
  const stream = new DurableStream({ url, headers, contentType: "application/json" })
  // A producer makes a repeated append safe, and `send` repeats it. When the stream is closed, the error of
  // `send` has the reason. One request at a time, so that there are no gaps.
  const options = { fetch: send, maxInFlight: 1, signal, onError: refuse }
  const producer = new IdempotentProducer(stream, "writer", options)
  beat().catch(refuse)
  try {
    const result = streamText({ model, prompt, abortSignal: signal, onError: () => {} })
    let reason = "finished"
    for await (const chunk of result.toUIMessageStream()) {
      if (signal.aborted) break
      if (chunk.type === "error") reason = "failed"
      producer.append(JSON.stringify(chunk))
    }
    await producer.flush()
    await post({ "stream-closed": "true", "stream-closed-reason": reason })
    return reason
  } catch (error) {
    // 409: the stream is closed, and the response says why.
    const first = signal.reason ?? error
    if (first.status !== 409) throw first
    return first.headers["stream-closed-reason"]
  } finally {
    over.abort()
  }
}
