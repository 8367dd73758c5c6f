//! The export `durable-streams:edge/exchange`: the service's steps, with converted types.

use super::lane::exports::durable_streams::edge::exchange as wit;
use super::{Component, hub};
use crate::guest;
use crate::guest::env::{self, World};
use crate::protocol::packed::Texts;
use crate::protocol::request::{BodyState, RawRequest};
use crate::service::Service;
use crate::service::exchange::{Answer, Cause, Cursor, Delivery, DeliveryResult, Next, Worked};

impl wit::Guest for Component {
    fn start(requests: Vec<wit::Request>, attempt: Option<Vec<u8>>, now: u64) -> Vec<wit::Answer> {
        let requests: Vec<RawRequest<'_>> = requests.iter().map(request).collect();
        let answers = step(now, |service| service.start(&requests, attempt.as_deref()));
        answers.into_iter().map(answer).collect()
    }

    fn resume(token: Vec<u8>, cause: wit::Cause, now: u64) -> wit::Answer {
        let cause = match cause {
            wit::Cause::Ready => Cause::Ready,
            wit::Cause::Changed => Cause::Changed,
            wit::Cause::Timeout => Cause::Timeout,
            wit::Cause::Expired => Cause::Expired,
            wit::Cause::Draining => Cause::Draining,
        };
        answer(step(now, |service| service.resume(&token, cause)))
    }

    fn delivered(token: Vec<u8>, outcome: wit::Outcome, now: u64) -> wit::Worked {
        let outcome = match outcome {
            wit::Outcome::Answered((status, body)) => DeliveryResult::Answered { status, body },
            wit::Outcome::Failed => DeliveryResult::Failed,
        };
        worked(step(now, |service| service.delivered(&token, &outcome)))
    }

    fn work(round: u64, now: u64) -> wit::Worked {
        worked(step(now, |service| service.work(round)))
    }
}

/// Takes a step at `now`. The host knows which readers wait for the keys that the step changed.
fn step<T>(now: u64, step: impl FnOnce(&Service<World>) -> T) -> T {
    env::begin_step();
    let result = guest::step(now, step);
    hub::forget_changes();
    result
}

fn request(request: &wit::Request) -> RawRequest<'_> {
    let mut head = Texts::new(&request.head);
    let mut text = || {
        let bytes = head.next().unwrap_or_default();
        // Bytes that are not UTF-8 become an empty text, which is no valid method or path.
        std::str::from_utf8(bytes).unwrap_or_default()
    };
    RawRequest {
        method: text(),
        scheme: Some(text()).filter(|scheme| !scheme.is_empty()),
        authority: Some(text()).filter(|authority| !authority.is_empty()),
        target: text(),
        headers: head.rest(),
        body: &request.body,
        body_state: match request.body_state {
            wit::BodyState::Complete => BodyState::Complete,
            wit::BodyState::TooLarge => BodyState::TooLarge,
            wit::BodyState::NoRoom => BodyState::NoRoom,
            wit::BodyState::Broken => BodyState::Broken,
        },
    }
}

fn answer(answer: Answer) -> wit::Answer {
    wit::Answer {
        head: answer.head.map(|head| wit::Head {
            status: head.status,
            headers: head.headers.into_packed(),
        }),
        body: answer.body,
        cursor: match answer.cursor {
            Cursor::None => wit::Cursor::None,
            Cursor::Header(value) => wit::Cursor::Header(value),
            Cursor::Event(value, after) => wit::Cursor::Event((value, after)),
        },
        next: match answer.next {
            Next::Done => wit::Next::Done,
            Next::Ready(token) => wit::Next::Ready(token),
            Next::Change {
                token,
                key,
                max_wait_ms,
            } => wit::Next::Change(wit::Wait {
                token,
                key,
                max_wait_ms,
            }),
            Next::Again { wait_ms, attempt } => wit::Next::Again(wit::Retry { wait_ms, attempt }),
            Next::Reset => wit::Next::Reset,
        },
        held: answer.held.map(|held| wit::Held {
            headers: held.headers.into_packed(),
            cursor_floor: held.cursor_floor,
            max_age_ms: held.max_age_ms,
        }),
        effects: answer.effects.into_iter().map(delivery).collect(),
    }
}

fn delivery(delivery: Delivery) -> wit::Delivery {
    wit::Delivery {
        url: delivery.url,
        headers: delivery.headers.into_packed(),
        body: delivery.body,
        timeout_ms: delivery.timeout_ms,
        token: delivery.token,
    }
}

fn worked(worked: Worked) -> wit::Worked {
    wit::Worked {
        worked: worked.worked,
        effects: worked.effects.into_iter().map(delivery).collect(),
        due_ms: worked.due_ms,
    }
}
