//! Fixed caps, each with its reason.

use std::ops::RangeInclusive;

/// Largest value ever stored. Hosted platforms allow 1 MB, DynamoDB items 400 KB.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// Largest chunk, the bytes of one segment.
pub(crate) const MAX_CHUNK_BYTES: usize = MAX_VALUE_BYTES;

/// Segments in one index block, and segments that a head keeps before it writes a block.
pub const BLOCK_SEGMENTS: u64 = 64;

/// Segments of all lives of a name together. An offset's first half is a timeline times this
/// number, plus a segment. A stream that would need more segments refuses further appends.
pub const SEGMENTS: u64 = 100_000_000;

/// Largest timeline. Offsets have room for a little more. A generation of a subscription is a
/// timeline times [`SEGMENTS`] plus a count, and must stay an exact integer in JavaScript.
pub const MAX_TIMELINE: u64 = 90_000_000;

/// Timelines of one stream, which its head stores.
pub(crate) const TIMELINES: usize = 1024;

/// Commits that a head remembers, to tell whether an attempt was applied.
pub(crate) const RING_COMMITS: usize = 64;

/// Commits that the head of a contended stream remembers. With 64 writers, 64 commits may pass
/// while one swap waits in the queue of its store. Twice as many may pass before its writer reads
/// the head again.
pub(crate) const RING_MOST_COMMITS: usize = 512;

/// Bytes of request bodies that one instance buffers at a time. Beyond it, requests get 503.
pub const BODY_BUDGET: usize = 32 * 1024 * 1024;

/// Longest pause, in milliseconds, of a client that sends or receives a body, where the component
/// itself serves `wasi:http` 0.2. Each such client occupies an instance.
pub const CLIENT_STALL_MS: u64 = 30_000;

/// Longest `Stream-Seq`, content type and producer id. All are kept in the head record.
pub(crate) const MAX_FIELD_BYTES: usize = 256;

/// Levels of arrays and objects in a JSON body. Parsers in common use fail beyond 128.
pub(crate) const MAX_JSON_DEPTH: u64 = 128;

/// Largest producer epoch and sequence number, for clients in JavaScript (section 5.2.1).
pub(crate) const MAX_PRODUCER_NUMBER: u64 = (1 << 53) - 1;

/// Longest request target; longer ones are 414. A name of 1,024 bytes takes 3,072 when escaped.
pub(crate) const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Bytes of a response that one step returns.
pub(crate) const STEP_BYTES: usize = MAX_CHUNK_BYTES;

/// Longest reason of a close.
pub(crate) const REASON_BYTES: usize = 64;

/// Length of a writer's lease, in seconds.
pub const WRITER_LEASE_SECS: RangeInclusive<u64> = 1..=86_400;

/// Longest time after its start in which a host notices no lapse of a lease: writers must be able to
/// connect again first.
pub(crate) const LEASE_GRACE_MS: u64 = 30_000;

/// Pause after a close of a lapsed lease that could not be committed, and longest pause.
pub(crate) const LAPSE_RETRY_MS: (u64, u64) = (1_000, 15_000);

/// To-do shards, and shards of the name registry.
pub const SHARDS: u8 = 16;

/// Largest leaf of the name registry.
pub(crate) const LEAF_BYTES: usize = 8 * 1024;

/// Segments in one page that ends at a message's end. The limit holds for small segments too, so
/// that no read does unbounded work.
pub(crate) const PAGE_SEGMENTS: usize = 256;

/// Chunks that one step reads; also the segments in one SSE event.
pub(crate) const STEP_SEGMENTS: usize = 64;

/// Largest number of JSON messages that a read may begin before the tail.
pub(crate) const TAIL_MESSAGES: u64 = 10_000;

/// Largest number of bytes that a read of other content may begin before the tail.
pub(crate) const TAIL_BYTES: u64 = 1024 * 1024;

/// Stored bytes after which a step stops to count messages from the tail: about 2 ms.
pub(crate) const TAIL_STEP_BYTES: usize = 4 * STEP_BYTES;

/// Chunks after which a step stops to count messages from the tail.
pub(crate) const TAIL_STEP_CHUNKS: usize = 16;

/// Segments after which a step stops to count bytes from the tail: 16 index blocks.
pub(crate) const TAIL_STEP_SEGMENTS: usize = 1024;

/// Store operations of one piece of background work, without the heads that a wake reads.
pub(crate) const WORK_OPERATIONS: usize = 32;

/// Sources between a fork and a stream that is not a fork; each may add a run to the fork's head.
pub(crate) const FORK_DEPTH: u64 = 256;

/// Forks of one stream that may join or leave at a time; its head stores their steps.
pub(crate) const FORK_STEPS: usize = 16;

/// Age after which a fork that was begun but has no head is given up.
pub(crate) const FORK_PATIENCE_MS: u64 = 60_000;

/// Subscriptions that one stream is linked to, which its head stores.
pub(crate) const SUBSCRIBERS: usize = 64;

/// Streams that one subscription is linked to, and acks in one call. A step may read the heads of
/// all of them. With names and cursors, the subscription is still one small value.
pub(crate) const SUBSCRIPTION_LINKS: usize = 4096;

/// Total bytes of the names that a subscription lists one by one.
pub(crate) const SUBSCRIPTION_NAMES_BYTES: usize = 48 * 1024;

/// Bytes of the list of all subscriptions, which every creation of a stream reads.
pub(crate) const SUBSCRIPTIONS_BYTES: usize = 192 * 1024;

/// Share of [`SUBSCRIPTIONS_BYTES`] for the callers of one prefix.
pub(crate) const PREFIX_SUBSCRIPTIONS_BYTES: usize = SUBSCRIPTIONS_BYTES / 8;

/// Share of [`SUBSCRIPTIONS_BYTES`] that callers with a prefix leave to callers without one.
pub(crate) const RESERVED_SUBSCRIPTIONS_BYTES: usize = SUBSCRIPTIONS_BYTES / 8;

/// Longest id of a subscription, and longest name of a worker.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// Longest description of a subscription.
pub(crate) const MAX_DESCRIPTION_BYTES: usize = 1024;

/// Longest pattern.
pub(crate) const MAX_PATTERN_BYTES: usize = 1024;

/// Most segments of a pattern.
pub(crate) const MAX_PATTERN_SEGMENTS: usize = 64;

/// Longest URL of a webhook.
pub(crate) const MAX_WEBHOOK_URL_BYTES: usize = 2048;

/// Largest body of a control call. A worker with more acks than fit, or more than
/// [`SUBSCRIPTION_LINKS`], sends them in several calls.
pub(crate) const MAX_CONTROL_BYTES: usize = 1024 * 1024;

/// How long a worker may be silent, milliseconds: the range and the default (section 6.2).
pub(crate) const LEASE_MS: RangeInclusive<u64> = 1_000..=600_000;

/// See [`LEASE_MS`].
pub(crate) const LEASE_DEFAULT_MS: u64 = 30_000;

/// Pause after the first failure of a webhook, and longest pause (section 7.1).
pub(crate) const RETRY_LEAST_MS: u64 = 1_000;

/// See [`RETRY_LEAST_MS`].
pub(crate) const RETRY_MOST_MS: u64 = 60_000;

/// Age at which background work checks whether a wake's event is in the wake stream.
pub(crate) const ANNOUNCE_PATIENCE_MS: u64 = 1_000;

/// Lifetime of a callback or claim token. A lease may be extended for as long, but the end of its
/// wake invalidates the token much earlier.
pub(crate) const WAKE_TOKEN_MS: u64 = 24 * 60 * 60 * 1000;

/// How much longer a wake stream remembers a subscription after its event was appended, compared
/// with other producers. The subscription records the append within this time, so no event is
/// appended twice.
pub(crate) const WAKE_KEEP_MS: u64 = 60 * 60 * 1000;

/// Subscriptions woken in one step, by the append and by the wake events that follow from it.
pub const WAKES: usize = 64;

/// Heads of linked streams that one piece of work compares with their subscription.
pub(crate) const WALK_LINKS: usize = 32;

/// Streams, or leaves of the name registry, that one step reads for a new subscription or for new
/// names in one.
pub(crate) const BACKFILL_STREAMS: usize = 64;

/// Entries of one page of a list: the range.
pub const LIST_LIMIT: RangeInclusive<usize> = 1..=1000;

/// Entries of one page of a list, unless the caller gives a limit.
pub const LIST_DEFAULT: usize = 100;

/// Leaves of the name registry that one page of streams reads. They have about 200 short names each.
pub(crate) const LIST_LEAVES: usize = 16;

/// Bytes after which a page of a list ends. With the longest names, an entry has some KiB.
pub(crate) const LIST_BYTES: usize = 1024 * 1024;

/// Bytes of a webhook's response that are read.
pub const WEBHOOK_ANSWER_BYTES: usize = 64 * 1024;

/// How long a webhook may take to answer, milliseconds.
pub(crate) const WEBHOOK_TIMEOUT_MS: u64 = 15_000;

/// How long a replaced signing key is still published. Receivers refuse signatures that are older
/// than some minutes, and caches keep the key set for five.
pub(crate) const REPLAY_WINDOW_MS: u64 = 60 * 60 * 1000;

/// Signing keys that are kept, including the one in use. Keys that callers with a prefix replaced
/// are not counted.
pub(crate) const SIGNING_KEYS: usize = 8;

/// Rotations in [`REPLAY_WINDOW_MS`] for one prefix.
pub(crate) const PREFIX_ROTATIONS: usize = 3;

/// Rotations in [`REPLAY_WINDOW_MS`] for all prefixes together: all keys are in one document.
pub(crate) const PREFIXES_ROTATIONS: usize = 48;

/// How long a creator that finds another creator's unconfirmed record waits before it takes over.
/// The wait is the sum of the waits that its attempt reports, so it does not depend on clocks.
pub const CREATION_PATIENCE_MS: u64 = 10_000;

/// Longest bearer token that is examined.
pub(crate) const MAX_BEARER_BYTES: usize = 8 * 1024;

/// Bearer tokens in `auth_tokens`. Each of them is compared with the token of every request.
pub(crate) const MAX_TOKENS: usize = 256;

/// Shortest token in `auth_tokens`: 96 bits if it is base64url.
pub(crate) const MIN_TOKEN_BYTES: usize = 16;

/// Keys in `auth_jwks`.
pub(crate) const MAX_KEYS: usize = 32;

/// Shortest secret of HS256, the size of its hash (RFC 7518, section 3.2).
pub(crate) const MIN_HS256_BYTES: usize = 32;

/// Largest difference between two clocks: a token issuer's and the server's, or those of two
/// instances. A stored time further in the future came from a clock that has been corrected since.
pub(crate) const CLOCK_SKEW_MS: u64 = 10_000;
