//! The mailbox of one client with a live read.

use crate::exchange::{Cause, Head, Message, ResponseContext, StepError, Token};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Unsent bytes in a mailbox above which the next event ends the reader.
pub(super) const MAX_UNSENT: usize = 256 * 1024;

/// Next action after everything in the mailbox is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// Wait for the next answer of the group.
    Wait,
    /// A step of this reader alone.
    Resume(Token, Cause),
    /// The end of the response.
    End,
    /// The end of the connection.
    Reset,
    /// A step of the group failed twice. A reader without a head gets the error, any other a reset.
    Failed(StepError),
}

/// The next item for the client.
#[derive(Debug)]
pub(super) enum Taken {
    Head(Head),
    Bytes(Bytes),
    /// Nothing yet; the mailbox wakes the waker later.
    Nothing,
    /// No item; the caller resumes this token.
    Then(Token, Cause),
    End,
    Reset,
    Failed(StepError),
}

#[derive(Debug)]
struct Mailbox {
    head: Option<Head>,
    events: VecDeque<Bytes>,
    unsent: usize,
    then: Then,
    waker: Option<Waker>,
}

/// A client with a live read, as its group sees it.
#[derive(Debug)]
pub(super) struct Reader {
    mailbox: Mutex<Mailbox>,
    /// The client left; no group may add this reader any more.
    gone: AtomicBool,
    held: ResponseContext,
    /// Time at which the exchange reaches its maximum age (`ResponseContext::max_age`).
    pub(super) expires: Option<Instant>,
    /// End of the current wait. The wait continues through changes without a message.
    wait_ends: Mutex<Option<Instant>>,
}

impl Reader {
    pub(super) fn new(held: ResponseContext, now: Instant) -> Self {
        let expires = held.max_age.and_then(|age| now.checked_add(age));
        Self {
            mailbox: Mutex::new(Mailbox {
                head: None,
                events: VecDeque::new(),
                unsent: 0,
                then: Then::Wait,
                waker: None,
            }),
            gone: AtomicBool::new(false),
            held,
            expires,
            wait_ends: Mutex::new(None),
        }
    }

    fn wait_ends(&self) -> MutexGuard<'_, Option<Instant>> {
        let wait_ends = self.wait_ends.lock();
        wait_ends.unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a wait until `over`, or continues the current one if that ends earlier. Returns the
    /// end.
    pub(super) fn wait_until(&self, over: Instant) -> Instant {
        let mut wait_ends = self.wait_ends();
        let ends = wait_ends.map_or(over, |ends| ends.min(over));
        *wait_ends = Some(ends);
        ends
    }

    /// Ends the wait, so that the next one starts anew. A change without a message, such as a touch
    /// of a stream with a TTL, ends no wait. Otherwise a reader would never get its heartbeat.
    pub(super) fn end_wait(&self) {
        *self.wait_ends() = None;
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the client left.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_left(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether the exchange has reached its maximum age at `now`.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Puts an answer into the mailbox. `charge` assigns room to the bytes. Returns false if too
    /// many bytes are unsent: the reader then gets `Then::End` in place of the answer and `then`.
    pub(super) fn deliver(
        &self,
        message: &mut Message,
        then: Then,
        charge: impl FnOnce(Bytes) -> Bytes,
    ) -> bool {
        let head = message.head_for(&self.held);
        let bytes = charge(message.bytes_for(&self.held));
        let mut mailbox = self.mailbox();
        let slow = mailbox.unsent > MAX_UNSENT && !bytes.is_empty();
        if slow {
            mailbox.then = Then::End;
        } else {
            if head.is_some() {
                mailbox.head = head;
            }
            if !bytes.is_empty() {
                mailbox.unsent = mailbox.unsent.saturating_add(bytes.len());
                mailbox.events.push_back(bytes);
            }
            mailbox.then = then;
        }
        wake(mailbox);
        !slow
    }

    /// Sets the next action without an answer.
    pub(super) fn set(&self, then: Then) {
        let mut mailbox = self.mailbox();
        mailbox.then = then;
        wake(mailbox);
    }

    /// Takes the next item for the client. `waker` is woken when there is more.
    pub(super) fn take(&self, waker: &Waker) -> Taken {
        let mut mailbox = self.mailbox();
        if let Some(head) = mailbox.head.take() {
            return Taken::Head(head);
        }
        if let Some(bytes) = mailbox.events.pop_front() {
            mailbox.unsent = mailbox.unsent.saturating_sub(bytes.len());
            return Taken::Bytes(bytes);
        }
        match &mailbox.then {
            Then::End => Taken::End,
            Then::Reset => Taken::Reset,
            Then::Failed(error) => Taken::Failed(error.clone()),
            Then::Wait => {
                match &mut mailbox.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Taken::Nothing
            }
            Then::Resume(..) => match std::mem::replace(&mut mailbox.then, Then::Wait) {
                Then::Resume(token, cause) => Taken::Then(token, cause),
                _ => Taken::Nothing,
            },
        }
    }
}

/// Wakes the connection after unlocking the mailbox, as the connection locks the mailbox first.
fn wake(mut mailbox: MutexGuard<'_, Mailbox>) {
    let waker = mailbox.waker.take();
    drop(mailbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}
