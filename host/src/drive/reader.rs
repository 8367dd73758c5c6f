//! The mailbox of one client that reads on.

use crate::exchange::{Cause, Head, Held, Message, StepError, Token};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

/// Bytes of earlier events that a client may still have to take when the next one is due.
pub(super) const MAX_UNSENT: usize = 256 * 1024;

/// What follows once everything in the mailbox is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// Whatever the group brings.
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

/// The next thing for the client.
#[derive(Debug)]
pub(super) enum Taken {
    Head(Head),
    Bytes(Bytes),
    /// Nothing yet; the waker will be woken.
    Nothing,
    /// Nothing, and this is to be done.
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

/// A client that reads on, as its group sees it.
#[derive(Debug)]
pub(super) struct Reader {
    mailbox: Mutex<Mailbox>,
    /// The client left; no group may take this reader in any more.
    gone: AtomicBool,
    held: Held,
    /// When its exchange has lasted as long as it may (`Held::max_age`).
    pub(super) expires: Option<Instant>,
    /// When the wait ends that goes on through changes that bring nothing.
    wait_ends: Mutex<Option<Instant>>,
}

impl Reader {
    pub(super) fn new(held: Held, now: Instant) -> Self {
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

    /// Begins a wait until `over`, or goes on with the one that ends earlier. Says when it ends.
    pub(super) fn wait_until(&self, over: Instant) -> Instant {
        let mut wait_ends = self.wait_ends();
        let ends = wait_ends.map_or(over, |ends| ends.min(over));
        *wait_ends = Some(ends);
        ends
    }

    /// Ends the wait: the next one begins anew. A change that brings nothing, such as a touch of a
    /// stream with a TTL, ends none, or a reader would never get its heartbeat.
    pub(super) fn end_wait(&self) {
        *self.wait_ends() = None;
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the client left.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_left(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Whether its exchange has lasted as long as it may, at `now`.
    pub(super) fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Puts an answer into the mailbox. Says whether the reader goes on as `then` says: not if it
    /// has too much to take already, and is ended after that instead. `charge` gives the bytes their
    /// room.
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

    /// Says what follows, where no answer does.
    pub(super) fn set(&self, then: Then) {
        let mut mailbox = self.mailbox();
        mailbox.then = then;
        wake(mailbox);
    }

    /// The next thing for the client; `waker` is woken when there is more.
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

/// Wakes the connection after letting go of the mailbox, which is what it will lock first.
fn wake(mut mailbox: MutexGuard<'_, Mailbox>) {
    let waker = mailbox.waker.take();
    drop(mailbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}
