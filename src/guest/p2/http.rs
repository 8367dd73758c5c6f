//! The driver of `wasi:http/incoming-handler`. It reads a request's body, sends the service's
//! answers, waits between them, and at last sends the webhooks that the request caused.

use super::body::{self, Gone, Outgoing};
use super::deliver::deliver;
use super::{Component, now_ms, waits};
use crate::guest::env::World;
use crate::guest::message::{
    Received, ResponseHead, method_name, scheme_name, take_bytes, take_head,
};
use crate::guest::{polling, polling_step};
use crate::protocol::packed::Fields as Packed;
use crate::protocol::request::BodyState;
use crate::service::Service;
use crate::service::exchange::{Answer, Cause, Delivery, Next, ResponseContext};
use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, Method, OutgoingResponse, ResponseOutparam, Scheme,
};

impl Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let started = waits::now();
        let mut effects = Vec::new();
        let answer = begin(&receive(&request), &mut effects);
        let exchange = Exchange {
            started,
            held: ResponseContext::default(),
        };
        exchange.run(answer, out);
        deliver(effects);
    }
}

/// Starts a request, and repeats it as long as the service asks for a retry.
fn begin(received: &Received, effects: &mut Vec<Delivery>) -> Answer {
    let raw = received.raw();
    let mut attempt = None;
    loop {
        let requests = std::slice::from_ref(&raw);
        let start = |service: &Service<World>| service.start(requests, attempt.as_deref()).pop();
        let Some(mut answer) = polling_step(now_ms(), start) else {
            return Answer::only(Next::Reset);
        };
        effects.append(&mut answer.effects);
        match answer.next {
            Next::Again {
                wait_ms,
                attempt: next,
            } => {
                attempt = Some(next);
                waits::pause(wait_ms);
            }
            _ => return answer,
        }
    }
}

fn resume(token: &[u8], cause: Cause) -> Answer {
    polling_step(now_ms(), |service| service.resume(token, cause))
}

/// The state of an exchange between its steps.
struct Exchange {
    started: u64,
    held: ResponseContext,
}

impl Exchange {
    /// Runs until the exchange is over or the client has disconnected.
    fn run(mut self, mut answer: Answer, out: ResponseOutparam) {
        loop {
            if let Some(held) = answer.held.take() {
                self.held = held;
            }
            if let Some(head) = take_head(&mut answer, &self.held) {
                return self.respond(&head, answer, out);
            }
            let Next::Change {
                token, max_wait_ms, ..
            } = answer.next
            else {
                return ResponseOutparam::set(out, Err(internal("the service returned no head")));
            };
            answer = match self.wait(None, token, max_wait_ms) {
                Ok(answer) => answer,
                Err(Gone) => return,
            };
        }
    }

    fn respond(&self, head: &ResponseHead, mut answer: Answer, out: ResponseOutparam) {
        let Ok(fields) = Fields::from_list(&head.fields) else {
            return ResponseOutparam::set(out, Err(internal("a header field is not valid")));
        };
        let response = OutgoingResponse::new(fields);
        if response.set_status_code(head.status).is_err() {
            return ResponseOutparam::set(out, Err(internal("the status is not valid")));
        }
        if answer.next == Next::Done && answer.body.is_empty() {
            return ResponseOutparam::set(out, Ok(response));
        }
        let Ok(Ok(body)) = response.body().map(Outgoing::new) else {
            return ResponseOutparam::set(out, Err(internal("the response has no body")));
        };
        // The first bytes are written before the head leaves, so that both go out in one piece.
        // Otherwise the host's connection holds the bytes back until the client has acknowledged
        // the head.
        let bytes = take_bytes(&mut answer, &self.held);
        let written = body.write_now(&bytes).unwrap_or_default();
        let rest = bytes.get(written..).unwrap_or_default();
        if rest.is_empty() && answer.next == Next::Done {
            body.finish();
            return ResponseOutparam::set(out, Ok(response));
        }
        ResponseOutparam::set(out, Ok(response));
        // The only error is a client that has disconnected.
        let _ = self.send(rest, answer, body);
    }

    /// Sends the rest of a body, and further bytes until the exchange is over or the client has
    /// disconnected.
    fn send(&self, rest: &[u8], mut answer: Answer, body: Outgoing) -> Result<(), Gone> {
        body.write(rest)?;
        loop {
            answer = match answer.next {
                Next::Ready(token) => {
                    let cause = match waits::now() >= self.ends_at() {
                        true => Cause::Expired,
                        false => Cause::Ready,
                    };
                    resume(&token, cause)
                }
                Next::Change {
                    token, max_wait_ms, ..
                } => self.wait(Some(&body), token, max_wait_ms)?,
                // Dropping the body resets the connection, because the page can't be completed.
                Next::Reset => return Err(Gone),
                Next::Done | Next::Again { .. } => {
                    body.finish();
                    return Ok(());
                }
            };
            body.write(&take_bytes(&mut answer, &self.held))?;
        }
    }

    fn ends_at(&self) -> u64 {
        self.held
            .max_age_ms
            .map_or(u64::MAX, |ms| waits::after(self.started, ms))
    }

    /// Waits for the next answer with a head, bytes or an end. It reads the head again at
    /// intervals, until the wait or the connection's age is over.
    fn wait(
        &self,
        body: Option<&Outgoing>,
        mut token: Vec<u8>,
        max_wait_ms: u64,
    ) -> Result<Answer, Gone> {
        let begun = waits::now();
        let (wait_end, age_end) = (waits::after(begun, max_wait_ms), self.ends_at());
        loop {
            let pause_ms = polling::pause_ms(waits::since_ms(begun));
            waits::until(
                waits::after(waits::now(), pause_ms)
                    .min(wait_end)
                    .min(age_end),
            );
            if body.is_some_and(Outgoing::is_gone) {
                return Err(Gone);
            }
            let now = waits::now();
            let cause = if now >= age_end {
                Cause::Expired
            } else if now >= wait_end {
                Cause::Timeout
            } else {
                Cause::Changed
            };
            let answer = resume(&token, cause);
            match answer.next {
                Next::Change { token: next, .. }
                    if cause == Cause::Changed
                        && answer.head.is_none()
                        && answer.body.is_empty() =>
                {
                    token = next;
                }
                _ => return Ok(answer),
            }
        }
    }
}

/// Reads a request.
fn receive(request: &IncomingRequest) -> Received {
    let method = method_name!(request.method(), Method);
    let scheme = request.scheme();
    let scheme = scheme.map(|scheme| scheme_name!(scheme, Scheme));
    let mut headers = Packed::default();
    for (name, value) in request.headers().entries() {
        headers.push(&name, value);
    }
    let mut received = Received {
        method,
        scheme,
        authority: request.authority(),
        target: request.path_with_query().unwrap_or_else(|| "/".to_owned()),
        headers,
        body: Vec::new(),
        body_state: BodyState::Complete,
    };
    if received.has_body() {
        (received.body, received.body_state) = body::collect(request, received.announced());
    }
    received
}

fn internal(why: &str) -> ErrorCode {
    ErrorCode::InternalError(Some(why.to_owned()))
}
