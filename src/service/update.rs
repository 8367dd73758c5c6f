//! Changing small shared records: to-do shards, registry leaves, the list of subscriptions and the
//! signing keys.

use super::core::{Core, Fault, Place};
use super::creation::{Creation, Creator, Step};
use super::env::{Env, SwapError};
use crate::keys::{Envelope, Slot, State};
use crate::limits::CREATION_PATIENCE_MS;

/// What a change came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Updated<T> {
    /// The record is as the change wants it.
    Done(T),
    /// The record is being created, or is busy: try again after so many milliseconds.
    Wait(u64),
}

/// The creation of a shared record, in the attempt of the request that needed it first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SharedCreation {
    /// Which record.
    pub(super) id: String,
    /// How far it is.
    pub(super) creation: Creation,
}

/// What a change makes of a record.
pub(super) enum Edit<T> {
    /// It is as it should be.
    Keep(T),
    /// It should be this.
    Write(Vec<u8>, T),
}

/// Swaps tried before the caller is told to wait.
const TRIES: usize = 8;

impl<E: Env> Core<'_, E> {
    /// The progress of a worker, which keeps nothing between its calls. So its patience with a
    /// creator that vanished is drawn instead of summed up: in one call of nine what is drawn is all
    /// of it.
    pub(super) fn drawn_patience(&self) -> SharedCreation {
        let most = CREATION_PATIENCE_MS.saturating_add(CREATION_PATIENCE_MS / 8);
        SharedCreation {
            id: String::new(),
            creation: Creation {
                drawn_ms: self.jitter(most),
                ..Creation::default()
            },
        }
    }

    /// Applies `edit` to the record of `slot`, which is created empty if it is not there. As the
    /// outcome of a swap may be unknown, `edit` is repeated on what it may have written itself and
    /// must then keep it.
    pub(super) fn update<T>(
        &self,
        slot: &Slot,
        progress: &mut SharedCreation,
        mut edit: impl FnMut(&[u8]) -> Result<Edit<T>, Fault>,
    ) -> Result<Updated<T>, Fault> {
        for _ in 0..TRIES {
            match self.find(slot)? {
                Place::Missing { gate } => {
                    if let Edit::Keep(done) = edit(&[])? {
                        return Ok(Updated::Done(done));
                    }
                    if progress.id != slot.id() {
                        let creation = Creation {
                            gate,
                            drawn_ms: progress.creation.drawn_ms,
                            ..Creation::default()
                        };
                        *progress = SharedCreation {
                            id: slot.id().to_owned(),
                            creation,
                        };
                    }
                    let creator = Creator {
                        core: *self,
                        slot,
                        version: 1,
                        body: &[],
                        is_ours: &|_| false,
                    };
                    self.note_write();
                    if let Step::Wait(ms) = creator.step(&mut progress.creation)? {
                        return Ok(Updated::Wait(ms));
                    }
                }
                Place::Found { cas, envelope, .. } => {
                    let (body, done) = match edit(&envelope.body)? {
                        Edit::Keep(done) => return Ok(Updated::Done(done)),
                        Edit::Write(body, done) => (body, done),
                    };
                    let version = envelope.version.saturating_add(1);
                    let bytes = Envelope {
                        state: State::Confirmed,
                        version,
                        body: body.into(),
                    }
                    .encode();
                    self.note_write();
                    match self.env.swap(cas, &bytes) {
                        Ok(()) => return Ok(Updated::Done(done)),
                        Err(SwapError::Store(error)) if error.refuses() => {
                            return Err(error.into());
                        }
                        // Whatever it says, what counts is what is there now.
                        Err(SwapError::Failed(_) | SwapError::Store(_)) => {}
                    }
                }
            }
        }
        Ok(Updated::Wait(self.pause_ms(3)))
    }
}
