//! Client of any [Durable Streams](https://github.com/durable-streams/durable-streams) server.
//!
//! A durable stream is a named, append-only sequence of bytes or JSON messages over plain HTTP. This
//! crate creates, appends, reads, follows, closes, forks and deletes streams.
//!
//! - A [`Producer`] appends each batch exactly once and in order, though connections are cut and
//!   servers restart. It can be resumed after a restart of the program.
//! - [`Stream::follow`] returns every byte once and in order. It resumes by offset after every cut,
//!   and falls back from server-sent events to long-polls where a proxy holds events back.
//! - Failures are [typed](Error), and repeated by [one set of rules](#retries).
//!
//! # Example
//!
//! ```
//! use durable_streams_edge_client::{
//!     Client, CreateOptions, Error, FollowOptions, Options, ProducerOptions, Start,
//! };
//!
//! # #[allow(dead_code, reason = "the example needs a server")]
//! async fn example() -> Result<(), Error> {
//!     let client = Client::new("http://127.0.0.1:4437/v1/stream", Options::default())?;
//!     let stream = client.stream("chats/7")?;
//!     stream.create(&CreateOptions::of_type("application/json")).await?;
//!
//!     let mut producer = stream.producer(ProducerOptions::default()).await?;
//!     producer.send(r#"[{"token":"Hello"},{"token":"!"}]"#).await?;
//!     producer.close(None, None).await?;
//!
//!     let mut follow = stream.follow(Start::Beginning, FollowOptions::default());
//!     while let Some(batch) = follow.next().await {
//!         for message in batch?.messages().unwrap_or_default() {
//!             println!("{message}");
//!         }
//!     }
//!     Ok(())
//! }
//! # assert!(Client::new("http://127.0.0.1:4437/v1/stream", Options::default()).is_ok());
//! ```
//!
//! # Servers
//!
//! The crate works with every server of the specification (1.0, draft). Some calls are extensions:
//! [`Stream::stop`], [`Client::list`], [`Stream::describe`] and [`Start::Last`] ask the server
//! whether it has the extension, and return [`Error::Unsupported`] otherwise. Leases, reasons of
//! closes and `if_tail` are header fields that other servers ignore.
//!
//! # Retries
#![doc = include_str!("retries.md")]

mod batch;
mod client;
mod create;
mod error;
mod follow;
mod headers;
mod http;
mod listing;
mod metadata;
mod names;
mod offset;
mod pages;
mod producer;
mod producers;
mod retry;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub use batch::{Batch, Closed, Format};
pub use client::{Client, DEFAULT_URL, Options};
pub use create::{CreateOptions, Expiry, ForkPoint};
pub use error::{Cause, Error, Refusal};
pub use follow::{Follow, FollowOptions, Live};
pub use listing::{List, ListOptions, ListPage, Server, StreamEntry};
pub use metadata::Metadata;
pub use offset::{Offset, Start};
pub use pages::Pages;
pub use producer::{Ack, Producer, ProducerOptions, ProducerState, Session, Ticket};
pub use producers::{KnownProducer, ProducerMark, Producers};
pub use retry::Retry;
pub use stream::{AppendOptions, Appended, Created, Stream};
