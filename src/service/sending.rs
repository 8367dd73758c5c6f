//! Last steps of an answer: the common header fields, the length, and the log line.

use super::attempt::Attempt;
use super::core::Core;
use super::env::Env;
use super::exchange::{Answer, Next};
use super::log;
use super::reply::Reply;
use crate::protocol::packed::Fields;
use crate::protocol::request::RawRequest;
use crate::protocol::response::{self, Head};
use crate::protocol::{headers, sse};
use std::borrow::Cow;

/// DeliveryResult of an operation.
pub(super) enum Done {
    /// A reply that still needs the common header fields.
    Reply(Reply),
    /// An answer that is complete, or that needs another step.
    Answer(Answer),
}

/// The header fields common to all answers to this request.
pub(super) fn common<'c, E: Env>(core: &'c Core<E>, raw: &RawRequest<'_>) -> Cow<'c, Fields> {
    match &core.common {
        Some(common) => Cow::Borrowed(common),
        None => {
            let origins = raw.field_values(headers::ORIGIN);
            let access_control = core.access.is_on();
            Cow::Owned(response::common(&core.config, origins, access_control))
        }
    }
}

/// Completes a reply.
pub(super) fn finish<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    label: &str,
    reply: Reply,
) -> Answer {
    let Reply {
        mut head,
        body,
        problem,
    } = reply;
    log(core, label, raw.target, head.status, problem);
    head.headers.append(&common(core, raw));
    let only_head = raw.method == "HEAD";
    // The length of a read's page is unknown here, and a length of 0 would make caches drop the
    // page.
    if !(only_head && body.is_empty()) {
        with_length(&mut head, body.len(), &Next::Done);
    }
    let body = if only_head { Vec::new() } else { body };
    Answer::whole(head, body)
}

/// Completes an answer of a read.
pub(super) fn send<E: Env>(core: &Core<E>, label: &str, path: &str, mut answer: Answer) -> Answer {
    if let Some(head) = &mut answer.head {
        log(core, label, path, head.status, None);
        with_length(head, answer.body.len(), &answer.next);
    }
    answer
}

pub(super) fn log<E: Env>(
    core: &Core<E>,
    label: &str,
    path: &str,
    status: u16,
    problem: Option<&str>,
) {
    log::response(&core.env, &core.config, label, path, status, problem);
}

/// Adds the length of a complete body, unless the head has it already. Event streams get no length,
/// however short: clients expect a body of open length.
pub(super) fn with_length(head: &mut Head, length: usize, next: &Next) {
    let without = matches!(head.status, 204 | 304)
        || head.get(headers::CONTENT_TYPE) == Some(sse::MEDIA_TYPE.as_bytes());
    if !without && matches!(next, Next::Done) && head.get(headers::CONTENT_LENGTH).is_none() {
        head.push(headers::CONTENT_LENGTH, length.to_string());
    }
}

pub(super) fn again(wait_ms: u64, attempt: &Attempt) -> Answer {
    Answer::only(Next::Again {
        wait_ms,
        attempt: attempt.encode(),
    })
}
