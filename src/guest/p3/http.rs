//! The driver of `wasi:http/handler`. It reads a request's body, sends the service's answers, and
//! waits between them.

use super::deliver::deliver;
use super::hub::{self, Membership};
use super::waits::{self, Ends};
use super::{Component, now_ms};
use crate::guest::message::{
    READ_BYTES, Received, ResponseHead, method_name, scheme_name, take_bytes, take_head,
};
use crate::guest::{polling_step, service};
use crate::limits::BODY_BUDGET;
use crate::protocol::packed::Fields as Packed;
use crate::protocol::request::{BodyState, RawRequest};
use crate::service::exchange::{Answer, Cause, Next, ResponseContext};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{
    ErrorCode, Fields, Method, Request, Response, Scheme, Trailers,
};
use spin_sdk::wasip3::wit_bindgen::{
    FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter,
};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use std::cell::Cell;

type Ending = Result<Option<Trailers>, ErrorCode>;

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let started = waits::now();
        let (received, _room) = receive(request).await;
        let mut attempt = None;
        let answer = loop {
            let answer = begin(&received.raw(), attempt.as_deref());
            match answer.next {
                Next::Again {
                    wait_ms,
                    attempt: next,
                } => {
                    attempt = Some(next);
                    waits::pause(wait_ms).await;
                }
                _ => break answer,
            }
        };
        let mut exchange = Exchange {
            started,
            held: ResponseContext::default(),
        };
        exchange.run(answer).await
    }
}

fn begin(raw: &RawRequest<'_>, attempt: Option<&[u8]>) -> Answer {
    let requests = std::slice::from_ref(raw);
    let mut answer = polling_step(now_ms(), |service| service.start(requests, attempt)).pop();
    hub::wake_changed();
    if let Some(answer) = &mut answer {
        deliver(std::mem::take(&mut answer.effects));
    }
    answer.unwrap_or_else(|| Answer::only(Next::Reset))
}

fn resume(token: &[u8], cause: Cause) -> Answer {
    let answer = polling_step(now_ms(), |service| service.resume(token, cause));
    hub::wake_changed();
    answer
}

/// The state of an exchange between its steps.
struct Exchange {
    started: u64,
    held: ResponseContext,
}

impl Exchange {
    /// Runs until there is a head, and leaves the rest to a task of its own.
    async fn run(&mut self, mut answer: Answer) -> Result<Response, ErrorCode> {
        loop {
            if let Some(held) = answer.held.take() {
                self.held = held;
            }
            match (take_head(&mut answer, &self.held), &answer.next) {
                (Some(head), _) => return self.respond(&head, answer),
                (
                    None,
                    Next::Change {
                        token,
                        key,
                        max_wait_ms,
                    },
                ) => {
                    let mut place = Membership::join(key);
                    answer = self.wait(&mut place, token, key, *max_wait_ms).await;
                }
                (None, _) => return Err(internal("the service returned no head")),
            }
        }
    }

    fn respond(&self, head: &ResponseHead, answer: Answer) -> Result<Response, ErrorCode> {
        let fields = Fields::from_list(&head.fields).map_err(internal)?;
        let (ending, trailers) = wit_future::new::<Ending>(|| Ok(None));
        let whole = answer.next == Next::Done && answer.body.is_empty();
        let (response, _sent) = if whole {
            Response::new(fields, None, trailers)
        } else {
            let (writer, reader) = wit_stream::new::<u8>();
            let held = self.held.clone();
            let exchange = Self {
                started: self.started,
                held,
            };
            spawn(async move { exchange.send(answer, writer, ending).await });
            Response::new(fields, Some(reader), trailers)
        };
        response
            .set_status_code(head.status)
            .map_err(|()| internal("the status is not valid"))?;
        Ok(response)
    }

    /// Sends bytes until the exchange is over or the client has disconnected.
    async fn send(
        self,
        mut answer: Answer,
        mut body: StreamWriter<u8>,
        ending: FutureWriter<Ending>,
    ) {
        loop {
            // Join before the first byte is sent, so that no change during the write is missed.
            let place = match &answer.next {
                Next::Change { key, .. } => Some(Membership::join(key)),
                _ => None,
            };
            let bytes = take_bytes(&mut answer, &self.held);
            if !bytes.is_empty() && !body.write_all(bytes).await.is_empty() {
                return;
            }
            answer = match (answer.next, place) {
                (Next::Ready(token), _) => {
                    if waits::now() >= self.ends_at() {
                        resume(&token, Cause::Expired)
                    } else {
                        resume(&token, Cause::Ready)
                    }
                }
                (
                    Next::Change {
                        token,
                        key,
                        max_wait_ms,
                    },
                    Some(mut place),
                ) => self.wait(&mut place, &token, &key, max_wait_ms).await,
                (Next::Reset, _) => {
                    drop(body);
                    let _ = ending
                        .write(Err(internal("the page can't be completed")))
                        .await;
                    return;
                }
                (Next::Done | Next::Change { .. } | Next::Again { .. }, _) => {
                    drop(body);
                    let _ = ending.write(Ok(None)).await;
                    return;
                }
            };
        }
    }

    fn ends_at(&self) -> u64 {
        self.held
            .max_age_ms
            .map_or(u64::MAX, |ms| waits::after(self.started, ms))
    }

    /// Waits for the cause of the next step and takes the step. Waits again while the step yields
    /// no output. A change without output, such as a touch, delays neither a heartbeat nor the end
    /// of a long-poll.
    async fn wait(
        &self,
        place: &mut Membership,
        token: &[u8],
        key: &str,
        max_wait_ms: u64,
    ) -> Answer {
        let ends = Ends {
            wait: waits::after(waits::now(), max_wait_ms),
            age: self.ends_at(),
        };
        let mut token = token.to_vec();
        loop {
            let cause = waits::cause(place, ends).await;
            let news_for_all = place.polls().is_some();
            if cause == Cause::Changed && !news_for_all {
                // The notification removed this waiter from the group. Join again before the head
                // is read, so that no change is missed.
                *place = Membership::join(key);
            }
            let answer = resume(&token, cause);
            match answer.next {
                Next::Change {
                    token: next,
                    key: same,
                    ..
                } if same == key
                    && cause == Cause::Changed
                    && answer.head.is_none()
                    && answer.body.is_empty() =>
                {
                    token = next;
                }
                _ => {
                    if cause == Cause::Changed && news_for_all {
                        hub::wake(key);
                    }
                    return answer;
                }
            }
        }
    }
}

/// Reads a request. The second part of the result is the share of the budget that its body uses.
async fn receive(request: Request) -> (Received, Room) {
    let method = method_name!(request.get_method(), Method);
    let scheme = request.get_scheme();
    let scheme = scheme.map(|scheme| scheme_name!(scheme, Scheme));
    let mut headers = Packed::default();
    for (name, value) in request.get_headers().copy_all() {
        headers.push(&name, value);
    }
    let mut received = Received {
        method,
        scheme,
        authority: request.get_authority(),
        target: request
            .get_path_with_query()
            .unwrap_or_else(|| "/".to_owned()),
        headers,
        body: Vec::new(),
        body_state: BodyState::Complete,
    };
    let mut room = Room::default();
    if received.has_body() {
        let announced = received.announced();
        (received.body, received.body_state) = collect(request, announced, &mut room).await;
    }
    (received, room)
}

/// Reads a body of at most `max_append_bytes`, within the remaining budget.
async fn collect(
    request: Request,
    announced: Option<usize>,
    room: &mut Room,
) -> (Vec<u8>, BodyState) {
    let most = service().config().max_append_bytes;
    match announced {
        Some(0) => return (Vec::new(), BodyState::Complete),
        Some(length) if length > most => return (Vec::new(), BodyState::TooLarge),
        Some(length) if !room.take(length) => return (Vec::new(), BodyState::NoRoom),
        _ => {}
    }
    let (taken, result) = wit_future::new::<Result<(), ErrorCode>>(|| Ok(()));
    drop(taken);
    let (mut stream, trailers): (StreamReader<u8>, FutureReader<Ending>) =
        Request::consume_body(request, result);
    let mut body = Vec::new();
    loop {
        if announced == Some(body.len()) {
            // The platform passes on no more bytes than were announced.
            return (body, BodyState::Complete);
        }
        let left = announced.map_or(READ_BYTES, |length| length.saturating_sub(body.len()));
        let buffer = Vec::with_capacity(left.clamp(1, READ_BYTES));
        let (status, bytes) = stream.read(buffer).await;
        let more = bytes.len();
        match body.is_empty() {
            true => body = bytes,
            false => body.extend_from_slice(&bytes),
        }
        if body.len() > most {
            return (Vec::new(), BodyState::TooLarge);
        }
        if body.len() > room.taken && !room.take(more) {
            return (Vec::new(), BodyState::NoRoom);
        }
        if !matches!(status, StreamResult::Complete(_)) {
            break;
        }
    }
    // A stream that was cut off ends like any other. Only the trailers report the failure.
    let whole = trailers.await.is_ok() && announced.is_none_or(|length| length == body.len());
    match whole {
        true => (body, BodyState::Complete),
        false => (Vec::new(), BodyState::Broken),
    }
}

thread_local! {
    static ROOM: Cell<usize> = const { Cell::new(BODY_BUDGET) };
}

/// A share of the instance's budget for bodies.
#[derive(Default)]
struct Room {
    taken: usize,
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let left = ROOM.get().checked_sub(bytes);
        if let Some(left) = left {
            ROOM.set(left);
            self.taken = self.taken.saturating_add(bytes);
        }
        left.is_some()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        ROOM.set(ROOM.get().saturating_add(self.taken));
    }
}

fn internal(why: impl std::fmt::Debug) -> ErrorCode {
    ErrorCode::InternalError(Some(format!("{why:?}")))
}
