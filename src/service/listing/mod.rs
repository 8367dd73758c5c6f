//! Lists and descriptions under `{base_path}/__ds`.
//!
//! `walk` visits the names of the registry from a cursor. `streams` makes a page of the streams
//! that it finds, `stream` describes one stream, `subscriptions` lists subscriptions, and `server`
//! describes the server. `entry` is the only place that renders a stream.

mod cursor;
mod entry;
mod page;
mod server;
mod sources;
mod stop;
mod stream;
mod streams;
mod subscriptions;
mod walk;

use super::core::Core;
use super::env::Env;
use super::reply::Reply;
use crate::access::Rights;
use crate::protocol::request::{Listing, RawRequest};

/// Answers a call that lists or describes.
pub(super) fn answer<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    rights: &Rights,
    asked: &Listing,
) -> Reply {
    let answered = match asked {
        Listing::Server => Ok(server::describe(core)),
        Listing::Streams => streams::list(core, raw, rights),
        Listing::Stream(name) => stream::describe(core, rights, name.as_str()),
        Listing::Subscriptions => subscriptions::list(core, raw, rights),
    };
    answered.unwrap_or_else(|stop| stop.reply(core, raw.target))
}
