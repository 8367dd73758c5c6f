//! A [Durable Streams](https://github.com/durable-streams/durable-streams) server as one
//! WebAssembly component, whose only state is a key-value store that its host provides.
//!
//! Sections that comments name are those of its [specification]
//! (version 1.0, draft).
//!
//! [specification]: https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md
//!
//! # The promise
//!
//! - An acknowledged append is in the store, once, in order: its bytes, the producer's
//!   deduplication state, `Stream-Seq` and the close are one compare-and-swap of one record, the
//!   stream's *head*. Nothing an outsider sends can make the component trap or grow without bound.
//! - Outside `guest` there is no I/O, no clock and no randomness: time and random bits are
//!   arguments, the store is the trait [`service::env::Env`]. So all of it runs natively in tests.
//! - No state outlives a step but the variables, and who waits: any instance serves any step of any
//!   request, and one that is lost takes nothing with it.
//!
//! [`design`] explains the design with its reasons.
//!
//! # Layers
//!
//! An arrow means "may name"; nothing points back up. Every layer may use [`limits`], where all
//! variables and caps are, and which has [`access`] judge the variables that are keys; [`settings`]
//! unpacks the variables of a platform. [`seam`] has
//! the words that `guest` and our own host share.
//!
//! ```text
//! guest ----> service ----> stream        pure transitions of a head: create, append, delete ...
//!                     |---> subscription  the same of a subscription: wake, claim, ack, retry ...
//!                     |---> access        who may do what: tokens, keys, scopes
//!                     |---> protocol      the wire: headers, offsets, problems, JSON and SSE framing
//!                     \---> keys          what is stored: key names and record bytes
//! ```
//!
//! [`keys`] and [`protocol`] use the plain types of [`stream`] and [`subscription`], which name
//! neither of them; a subscription keeps the rights ([`access`]) of its creator, and positions in
//! streams.
//!
//! # What the host may name
//!
//! The native host runs the component, and does not know what a stream is. At run time it names
//! [`limits`], [`access`], [`protocol`], [`seam`] and [`subscription::url`] only: words, limits, access
//! control and the judgement of a webhook's URL. Its tools that work offline on the records of a store
//! (`host/src/check`) may name [`keys`] and [`stream`] too. `tests/structure` checks it.
//!
//! # The floors of the service
//!
//! A file names files of its own floor or of a lower one, and no circle of files exists.
//! `tests/structure` checks both, for the layers above too.
//!
//! ```text
//! mod, dispatch, tick           the facade; only these call an operation and then what follows it
//! work/                         background work
//! subscription/                 control calls, wakes, webhooks
//! append, delete, create/, read/, fork/
//! ending                        the end of a life, and what it owes
//! records/                      small shared records, and the election of the creator of a record
//! heads, segments, places       the records and bytes of streams, and places in them
//! report, sending, access ...   answers and rights
//! core, progress, attempt, token, reply, fault, effects, exchange, env
//! ```
//!
//! # The way of an append
//!
//! 1. `guest/p2/http.rs` or `guest/p3/http.rs` (any platform) or `guest/p3/exchange.rs` (our host) hands
//!    [`Service::start`](service::Service::start) a request with its body, or several that wait for
//!    one stream. `service/admission.rs` has it parsed (`protocol/request/`) and its token judged.
//! 2. `service/append.rs` reads the head, hands it to [`stream::Batch`], stores the chunks that the
//!    new head names, and swaps the head. What to do after a swap that was not confirmed is there
//!    too; it is the heart of the promise.
//! 3. `stream/append.rs` says whether the append is accepted and what it makes of the head;
//!    `stream/settle.rs` cuts what is too large for the head into chunks.
//! 4. `keys/head.rs` turns the head into bytes.
//! 5. `service/subscription/spread.rs` takes the news to the subscriptions that are linked to the
//!    stream, and `service/sending.rs` makes the answer.
//!
//! # Where the rest is
//!
//! | | |
//! |---|---|
//! | what a store must be able to do, and must not | `service/env.rs` |
//! | creation of a stream | `service/create/`, `stream/create.rs` |
//! | creation of any record, exactly once on stores that overwrite | `service/records/election.rs` |
//! | a read: head, index block, chunk | `service/read/`, `segments.rs` |
//! | a reader at the tail holds a token and no connection: its driver waits, and calls [`Service::resume`](service::Service::resume) | `service/read/page.rs`, `sse.rs` |
//! | offsets after the store went back to an older state | `stream/timeline.rs`, `stream/read.rs`, `service/places.rs` |
//! | forks | `service/fork/`, `stream/branch.rs` |
//! | deletion, expiry, and everything that is done in bounded steps behind requests | `service/ending.rs`, `work/`, `records/` |
//! | subscriptions | `service/subscription/`, `subscription/` |
//! | every error that a client sees of a stream | `service/problems.rs`, `protocol/problem.rs` |
//! | and of a control call under `__ds` | `protocol/control/refused.rs`, `service/subscription/` |
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
