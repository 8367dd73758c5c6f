//! A [Durable Streams](https://github.com/durable-streams/durable-streams) server as one
//! WebAssembly component. Its only state is in a key-value store that its host provides.
//!
//! Section numbers in comments refer to its [specification] (version 1.0, draft).
//!
//! [specification]: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md
//!
//! # Guarantees
//!
//! - An acknowledged append is in the store, once and in order. Its bytes, the producer's
//!   deduplication state, `Stream-Seq` and the close are one compare-and-swap of one record, the
//!   stream's *head*. No input from outside can make the component trap or grow without bound.
//! - Outside `guest` there is no I/O, no clock and no randomness. Time and random bits are
//!   arguments, and the store is the trait [`service::env::Env`]. So all of the code runs natively
//!   in tests.
//! - Apart from the variables and the list of waiting readers, no state outlives a step. Any
//!   instance can serve any step of any request, and a lost instance loses no data.
//!
//! [`design`] explains the design and its reasons.
//!
//! # Layers
//!
//! An arrow means "may name"; no layer names a layer above it. Every layer may use [`limits`],
//! which defines all variables and caps and lets [`access`] validate the variables that are keys.
//! [`settings`] unpacks the variables of a platform. [`seam`] has the names that `guest` and our
//! own host share.
//!
//! ```text
//! guest ----> service ----> stream        pure transitions of a head: create, append, delete ...
//!                     |---> subscription  pure transitions of a subscription: wake, claim, ack ...
//!                     |---> access        authentication and rights: tokens, keys, scopes
//!                     |---> protocol      the wire: headers, offsets, problems, JSON and SSE framing
//!                     \---> keys          the stored form: key names and record bytes
//! ```
//!
//! [`keys`] and [`protocol`] use the plain types of [`stream`] and [`subscription`], which name
//! neither of them. A subscription stores the rights ([`access`]) of its creator, and positions in
//! streams.
//!
//! # Modules that the host may name
//!
//! The native host runs the component, and does not know the concept of a stream. Its serving code
//! names only [`limits`], [`access`], [`protocol`], [`seam`] and [`subscription::url`]: names,
//! limits, access control and the validation of webhook URLs. Its tools that work offline on the
//! records of a store (`host/src/check`) may also name [`keys`] and [`stream`]. `tests/structure`
//! checks this rule.
//!
//! # The floors of the service
//!
//! A file names only files of its own floor or of a lower one, and files form no cycle.
//! `tests/structure` checks both rules, also for the layers above.
//!
//! ```text
//! mod, dispatch, tick           the facade; only these call an operation and then its follow-up work
//! work/                         background work
//! subscription/                 control calls, wakes, webhooks
//! append, delete, create/, read/, fork/
//! ending                        the end of a life, and its remaining chunks and blocks
//! records/                      small shared records, and the election of the creator of a record
//! heads, segments, places       the records and bytes of streams, and positions in them
//! report, sending, access ...   answers and rights
//! core, progress, attempt, token, reply, fault, effects, exchange, env
//! ```
//!
//! # The path of an append
//!
//! 1. `guest/p2/http.rs` or `guest/p3/http.rs` (any platform) or `guest/p3/exchange.rs` (our host)
//!    passes [`Service::start`](service::Service::start) a request with its body, or several
//!    requests for one stream. `service/admission.rs` calls the parser (`protocol/request/`) and
//!    checks the token.
//! 2. `service/append.rs` reads the head, passes it to [`stream::Batch`], stores the chunks that
//!    the new head names, and swaps the head. It also handles a swap that was not confirmed, which
//!    is the core of the guarantees.
//! 3. `stream/append.rs` decides whether the append is accepted, and computes the new head.
//!    `stream/settle.rs` cuts bytes that are too many for the head into chunks.
//! 4. `keys/head.rs` turns the head into bytes.
//! 5. `service/subscription/spread.rs` notifies the subscriptions that are linked to the stream,
//!    and `service/sending.rs` makes the response.
//!
//! # Where to find the rest
//!
//! | | |
//! |---|---|
//! | requirements on a store | `service/env.rs` |
//! | creation of a stream | `service/create/`, `stream/create.rs` |
//! | creation of any record, exactly once on stores that overwrite | `service/records/election.rs` |
//! | a read: head, index block, chunk | `service/read/`, `segments.rs` |
//! | readers at the tail: their driver holds a token and waits | `service/read/page.rs`, `sse.rs` |
//! | offsets after a restore of an older state | `stream/timeline.rs`, `service/places.rs` |
//! | forks | `service/fork/`, `stream/branch.rs` |
//! | deletion, expiry and other work in bounded steps | `service/ending.rs`, `work/`, `records/` |
//! | subscriptions | `service/subscription/`, `subscription/` |
//! | error responses of streams | `service/problems.rs`, `protocol/problem.rs` |
//! | error responses of control calls | `protocol/control/refused.rs`, `service/subscription/` |
//! | every key and record in the store | [`keys`] |

// A trap would end every exchange of the instance.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod access;
#[doc = include_str!("docs/design.md")]
pub mod design {}
pub mod keys;
pub mod limits;
pub mod protocol;
pub mod seam;
pub mod service;
pub mod settings;
pub mod stream;
pub mod subscription;

#[cfg(target_family = "wasm")]
mod guest;
