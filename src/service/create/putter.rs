//! State of a creation under way.

use crate::keys::{NameHash, Slot};
use crate::protocol::name::StreamName;
use crate::protocol::{headers, offset};
use crate::service::attempt::CreateAttempt;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::reply::Reply;
use crate::stream::{Asked, ContentType, Create, Head, Payload, Position, is_fork_of, matches};

/// A creation, with the parts of the request that its answer needs.
pub(in crate::service) struct Call<'a> {
    pub(in crate::service) name: &'a str,
    pub(in crate::service) create: Create,
    /// The body, framed; of a fork without a content type, as received.
    pub(in crate::service) payload: Payload,
    pub(in crate::service) fork: Option<Fork>,
    /// The stream's absolute URL.
    pub(in crate::service) location: String,
    /// Raw path and query, for problem documents.
    pub(in crate::service) instance: &'a str,
}

/// The fork that a creation asks for.
pub(in crate::service) struct Fork {
    pub(in crate::service) source: StreamName,
    pub(in crate::service) asked: Asked,
    /// The content type of the request; without one the fork inherits its source's.
    pub(in crate::service) content_type: Option<ContentType>,
}

pub(in crate::service) enum Done {
    Reply(Reply),
    Wait(u64),
}

pub(in crate::service) struct Putter<'a, E> {
    pub(in crate::service) core: &'a Core<E>,
    pub(in crate::service) slot: &'a Slot,
    pub(in crate::service) call: &'a Call<'a>,
    pub(in crate::service) hash: NameHash,
    pub(in crate::service) attempt: Box<CreateAttempt>,
    /// The requested stream, with the settings that a fork inherits.
    pub(in crate::service) create: Create,
    /// The body in stored form.
    pub(in crate::service) payload: Payload,
    /// Where a fork branches off its source; `None` for the tail.
    pub(in crate::service) point: Option<Position>,
}

impl<E: Env> Putter<'_, E> {
    /// The answer if `head`, which has the requested name, matches the request.
    pub(in crate::service) fn found(&self, head: &Head) -> Option<Reply> {
        let same = matches(head, &self.create) && self.is_that_fork(head);
        same.then(|| {
            described(Reply::write(200), head, self.core.env.now_ms())
                .with(headers::LOCATION, &*self.call.location)
        })
    }

    /// Whether `head` is the requested fork, or no fork if none was requested.
    pub(in crate::service) fn is_that_fork(&self, head: &Head) -> bool {
        match &self.call.fork {
            None => head.lineage.is_none(),
            Some(fork) => {
                let source = NameHash::of(fork.source.as_str());
                is_fork_of(head, source.bytes(), fork.asked)
            }
        }
    }

    pub(in crate::service) fn created(&self, head: &Head) -> Reply {
        described(Reply::write(201), head, self.attempt.now_ms)
            .with(headers::LOCATION, &*self.call.location)
    }

    /// The reply to a creation that is found applied. `head` may contain later appends, and a
    /// creator that reads on from its tail would miss them.
    pub(in crate::service) fn was_created(&mut self, head: &Head) -> Reply {
        let reply = self.attempt.reply.take();
        reply.unwrap_or_else(|| self.created(head))
    }

    /// Notes that a fork's head was written; it stays invisible until its source counts it. False
    /// if no fork was requested.
    pub(in crate::service) fn wrote_fork(&mut self) -> bool {
        let fork = self.attempt.fork.as_mut();
        fork.map(|fork| fork.written = true).is_some()
    }

    /// Whether a write that makes the stream visible may be under way.
    pub(in crate::service) fn unsure(&self) -> bool {
        let written = self.attempt.fork.as_ref().is_some_and(|fork| fork.written);
        written || self.attempt.sent.is_some() || self.attempt.election.confirming
    }

    /// Whether the sent life may have existed and ended. It can't have if `head`, another life,
    /// took its place.
    pub(in crate::service) fn may_have_been(&self, head: &Head) -> bool {
        let born = match self.attempt.sent {
            Some((_, version)) => version.saturating_add(1),
            None => 1,
        };
        self.unsure() && head.born != born
    }
}

/// Adds the header fields that describe the created stream.
fn described(reply: Reply, head: &Head, clock_ms: u64) -> Reply {
    reply
        .with(headers::CONTENT_TYPE, head.content_type.as_str())
        .with(headers::STREAM_NEXT_OFFSET, offset::format(head.tail()))
        .closed(head.closed.as_ref())
        .lease(head.lease, clock_ms)
}
