//! A [Durable Streams](https://github.com/durable-streams/durable-streams) server as one
//! WebAssembly component, whose only state is a key-value store that its host provides.
//!
//! # The promise
//!
//! - An acknowledged append is in the store, once, in order: its bytes, the producer's
//!   deduplication state, `Stream-Seq` and the close are one compare-and-swap of one record, the
//!   stream's *head*. Nothing an outsider sends can make the component trap or grow without bound.
//! - Outside `guest` there is no I/O, no clock and no randomness: time and random bits are
//!   arguments, the store is the trait [`service::env::Env`]. So all of it runs natively in tests.
//! - No state outlives a step but the variables: any instance serves any step of any request.
//!
//! # Layers
//!
//! An arrow means "may name"; nothing points back up, and every layer may use [`limits`]. [`seam`] has
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
//! neither of them.
//!
//! # The way of an append
//!
//! 1. `guest/http.rs` (any platform) or `guest/exchange.rs` (our host) hands
//!    [`Service::start`](service::Service::start) a request with its body.
//! 2. `service/append.rs` reads the head, hands it to [`stream::Batch`], stores the chunks that the
//!    new head names, and swaps the head. What to do after a swap that was not confirmed is there
//!    too; it is the heart of the promise.
//! 3. `stream/append.rs` says whether the append is accepted and what it makes of the head;
//!    `stream/segment.rs` cuts what is too large for the head into chunks.
//! 4. `keys/head.rs` turns the head into bytes.
//!
//! A read goes head, index block, chunk (`service/pages.rs`). A reader that waits at the tail holds
//! a token, not a connection: its driver waits, and calls
//! [`Service::resume`](service::Service::resume).

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
pub mod keys;
pub mod limits;
pub mod protocol;
pub mod seam;
pub mod service;
pub mod stream;
pub mod subscription;

#[cfg(target_family = "wasm")]
mod guest;
