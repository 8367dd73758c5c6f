//! A response with several steps. The client's connection drives it and reads its mailbox.

use super::reader::{Reader, Taken, Then};
use super::topic::Waiter;
use super::topics::{Joined, Topics, after};
use crate::answers::BodyError;
use crate::budget::{Line, Room};
use crate::exchange::{Cause, Head, Next, StepError, Token};
use crate::trace;
use crate::worker::{Answered, Pending, Worker};
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// The next thing to send.
#[derive(Debug)]
pub(super) enum Event {
    /// Status and fields; at most once, and first.
    Head(Head),
    /// Bytes of the body.
    Bytes(Bytes),
    /// The body is complete.
    End,
    /// Announced bytes are not available.
    Reset,
    /// A step of this exchange failed twice.
    Failed(StepError),
}

/// A step under way.
#[derive(Debug)]
struct Asked {
    token: Token,
    cause: Cause,
    pending: Pending,
    again: bool,
}

/// The connection of a response, and the room for the answer to its first step.
pub(crate) struct Grant {
    /// The connection.
    pub(crate) line: Arc<Line>,
    /// The room.
    pub(crate) room: Room,
}

/// A step that waits for room for its answer.
struct WaitingStep {
    token: Token,
    cause: Cause,
    room: Pin<Box<dyn Future<Output = Option<Room>> + Send>>,
}

/// An exchange after its first step. A client that leaves drops it, and the drop removes the reader
/// from its group at once.
pub(super) struct Live {
    worker: Arc<Worker>,
    topics: Arc<Topics>,
    waiter: Arc<Waiter>,
    asked: Option<Asked>,
    /// The connection that accounts for the bytes of this exchange's own steps.
    line: Option<Arc<Line>>,
    waiting: Option<WaitingStep>,
    /// Room for the answer to the step under way.
    room: Option<Room>,
    /// The request that began the exchange.
    request: trace::Cause,
}

impl Live {
    /// Continues an exchange after the answer to its start.
    pub(super) fn new(
        worker: Arc<Worker>,
        topics: Arc<Topics>,
        mut answered: Answered,
        grant: Option<Grant>,
    ) -> Self {
        let held = answered.answer.held.take();
        let (line, room) = grant.map(|grant| (grant.line, grant.room)).unzip();
        let mut live = Self {
            worker,
            topics,
            waiter: Waiter::new(Reader::new(
                held.unwrap_or_default(),
                Instant::now().into_std(),
            )),
            asked: None,
            line,
            waiting: None,
            room,
            request: trace::Cause::current(),
        };
        live.accept(answered, None);
        live
    }

    /// Polls for the next event. Available bytes come before another step, so a client that reads
    /// nothing costs no steps.
    pub(super) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        loop {
            match self.waiter.reader.take(context.waker()) {
                Taken::Head(head) => return Poll::Ready(Event::Head(head)),
                Taken::Bytes(bytes) => return Poll::Ready(Event::Bytes(bytes)),
                Taken::End => return Poll::Ready(Event::End),
                Taken::Reset => return Poll::Ready(Event::Reset),
                Taken::Failed(error) => return Poll::Ready(Event::Failed(error)),
                Taken::Then(token, cause) => {
                    // A reader that always has more to read never waits, but must end too.
                    let expired = self.waiter.reader.is_expired(Instant::now().into_std());
                    let cause = match cause {
                        Cause::Ready | Cause::Changed if expired => Cause::Expired,
                        other => other,
                    };
                    self.wait_for_room(token, cause);
                }
                Taken::Nothing => {}
            }
            if let Some(waiting) = &mut self.waiting {
                let room = ready!(waiting.room.as_mut().poll(context));
                match (room, self.waiting.take()) {
                    (Some(room), Some(WaitingStep { token, cause, .. })) => {
                        self.room = Some(room);
                        self.ask(token, cause, false);
                    }
                    // The client reconnects, and other clients get their turn until then.
                    _ => return Poll::Ready(Event::End),
                }
            }
            let Some(asked) = &mut self.asked else {
                return Poll::Pending;
            };
            let outcome = ready!(Pin::new(&mut asked.pending).poll(context));
            let lost = |_| StepError::Broken("the step was dropped".to_owned());
            match (outcome.map_err(lost).flatten(), self.asked.take()) {
                (Ok(answered), asked) => self.accept(answered, asked.map(|asked| asked.cause)),
                // A token outlives the instance that made it.
                (Err(_), Some(asked)) if !asked.again => self.ask(asked.token, asked.cause, true),
                (Err(error), _) => return Poll::Ready(Event::Failed(error)),
            }
        }
    }

    /// Requests a step of this reader alone, after room for its answer is reserved.
    fn wait_for_room(&mut self, token: Token, cause: Cause) {
        match &self.line {
            Some(line) if matches!(cause, Cause::Ready | Cause::Changed) => {
                let room = Room::reserve(Arc::clone(line), line.page());
                self.waiting = Some(WaitingStep {
                    token,
                    cause,
                    room: Box::pin(room),
                });
            }
            _ => self.ask(token, cause, false),
        }
    }

    fn ask(&mut self, token: Token, cause: Cause, again: bool) {
        let _entered = self.request.enter();
        let pending = self.worker.resume(token.clone(), cause);
        self.asked = Some(Asked {
            token,
            cause,
            pending,
            again,
        });
    }

    fn accept(&mut self, answered: Answered, cause: Option<Cause>) {
        let Answered { mut answer, noted } = answered;
        if cause != Some(Cause::Changed) || !answer.message.is_silent() {
            self.waiter.reader.end_wait();
        }
        let room = self.room.take();
        let charge = |bytes| match room {
            Some(room) => room.charge(bytes),
            None => bytes,
        };
        let then = after(&answer.next);
        self.waiter
            .reader
            .deliver(&mut answer.message, then, charge);
        let Next::Change(wait) = answer.next else {
            return;
        };
        if cause == Some(Cause::Draining) {
            self.waiter.reader.set(Then::End);
            return;
        }
        let token = wait.token.clone();
        match self.topics.join(&self.waiter, wait, noted) {
            Joined::Waits => {}
            Joined::Due(cause) => self.waiter.reader.set(Then::Resume(token, cause)),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.waiter.leave();
    }
}

impl Body for Live {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match ready!(self.poll_event(context)) {
            Event::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Event::End => Poll::Ready(None),
            Event::Head(_) | Event::Reset => Poll::Ready(Some(Err(BodyError::Reset))),
            Event::Failed(error) => Poll::Ready(Some(Err(BodyError::Instance(error.to_string())))),
        }
    }
}
