//! A creation under way: what it was asked for, and how far it is.

use crate::keys::{NameHash, Slot};
use crate::protocol::name::StreamName;
use crate::protocol::{headers, offset};
use crate::service::attempt::CreateAttempt;
use crate::service::core::Core;
use crate::service::reply::Reply;
use crate::stream::{Asked, ContentType, Create, Head, Payload, Position, is_fork_of, matches};

/// A creation with what its answer needs of the request.
pub(in crate::service) struct Call<'a> {
    pub(in crate::service) name: &'a str,
    pub(in crate::service) create: Create,
    /// The body; of a fork without a content type as it came.
    pub(in crate::service) payload: Payload,
    pub(in crate::service) fork: Option<Fork>,
    /// The stream's absolute URL.
    pub(in crate::service) location: String,
    /// Raw path and query, for problem documents.
    pub(in crate::service) instance: &'a str,
}

/// What a creation forks.
pub(in crate::service) struct Fork {
    pub(in crate::service) source: StreamName,
    pub(in crate::service) asked: Asked,
    /// The type given; else the fork has that of its source.
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
    /// What is asked for, with what a fork inherits.
    pub(in crate::service) create: Create,
    /// The body as it is stored.
    pub(in crate::service) payload: Payload,
    /// Where a fork leaves its source; `None` for the tail.
    pub(in crate::service) point: Option<Position>,
}

impl<E> Putter<'_, E> {
    /// The answer if `head`, which has the name asked for, is as asked for.
    pub(in crate::service) fn found(&self, head: &Head) -> Option<Reply> {
        let same = matches(head, &self.create) && self.is_that_fork(head);
        same.then(|| {
            described(Reply::write(200), head).with(headers::LOCATION, &*self.call.location)
        })
    }

    /// Whether `head` is a fork as asked for, or none.
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
        described(Reply::write(201), head).with(headers::LOCATION, &*self.call.location)
    }

    /// The reply to a creation that is found applied. `head` may have been appended to meanwhile,
    /// and a creator that goes on reading from there would miss that.
    pub(in crate::service) fn was_created(&mut self, head: &Head) -> Reply {
        let reply = self.attempt.reply.take();
        reply.unwrap_or_else(|| self.created(head))
    }

    /// Whether what was written now is a fork's head, which is not there before it is counted.
    pub(in crate::service) fn wrote_fork(&mut self) -> bool {
        let fork = self.attempt.fork.as_mut();
        fork.map(|fork| fork.written = true).is_some()
    }

    /// Whether a write that makes the stream visible may be under way.
    pub(in crate::service) fn unsure(&self) -> bool {
        let written = self.attempt.fork.as_ref().is_some_and(|fork| fork.written);
        written || self.attempt.sent.is_some() || self.attempt.election.confirming
    }

    /// Whether the life that was sent may have been there and be gone: `head`, which is another, did
    /// not take its place.
    pub(in crate::service) fn may_have_been(&self, head: &Head) -> bool {
        let born = match self.attempt.sent {
            Some((_, version)) => version.saturating_add(1),
            None => 1,
        };
        self.unsure() && head.born != born
    }
}

/// Adds what a creation's answer says of the stream.
fn described(reply: Reply, head: &Head) -> Reply {
    reply
        .with(headers::CONTENT_TYPE, head.content_type.as_str())
        .with(headers::STREAM_NEXT_OFFSET, offset::format(head.tail()))
        .closed(head.closed.is_some())
}
