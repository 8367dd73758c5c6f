//! Changes of small shared records: to-do shards, registry leaves, the list of subscriptions and
//! the signing keys.

use crate::keys::{Envelope, Slot, State};
use crate::limits::CREATION_PATIENCE_MS;
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::heads::Lookup;
use crate::service::progress::{Election, SharedCreation};
use crate::service::records::election::{Candidate, Step};

/// Result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Updated<T> {
    /// The record is as the change wants it.
    Done(T),
    /// The record is being created, or is busy: retry after this many milliseconds.
    Wait(u64),
}

/// Effect of a change on a record.
pub(in crate::service) enum Edit<T> {
    /// Keep the record as it is.
    Keep(T),
    /// Write this body.
    Write(Vec<u8>, T),
}

/// Swaps tried before the caller has to wait.
const TRIES: usize = 8;

/// The progress of a worker, which keeps nothing between its calls. So a random draw replaces the
/// sum of its waits for a vanished creator. In one call of nine the draw alone exhausts the
/// patience.
pub(in crate::service) fn drawn_patience<E: Env>(core: &Core<E>) -> SharedCreation {
    let most = CREATION_PATIENCE_MS.saturating_add(CREATION_PATIENCE_MS / 8);
    SharedCreation {
        election: Election {
            drawn_ms: core.jitter(most),
            ..Election::default()
        },
        ..SharedCreation::default()
    }
}

/// Applies `edit` to the record of `slot`, which is created empty if it is missing. The outcome of
/// a swap may be unknown, so `edit` may run again on a body that it wrote itself, and must then
/// keep it.
pub(in crate::service) fn update<E: Env, T>(
    core: &Core<E>,
    slot: &Slot,
    progress: &mut SharedCreation,
    mut edit: impl FnMut(&[u8]) -> Result<Edit<T>, Fault>,
) -> Result<Updated<T>, Fault> {
    for _ in 0..TRIES {
        match heads::find(core, slot)? {
            Lookup::Missing { gate } => {
                if let Edit::Keep(done) = edit(&[])? {
                    return Ok(Updated::Done(done));
                }
                if progress.id != slot.id() {
                    progress.id = slot.id().to_owned();
                    progress.election = Election {
                        drawn_ms: progress.election.drawn_ms,
                        ..Election::at(gate)
                    };
                }
                let candidate = Candidate {
                    core,
                    slot,
                    version: 1,
                    body: &[],
                    is_ours: &|_| false,
                };
                progress.wrote = true;
                if let Step::Wait(ms) = candidate.step(&mut progress.election)? {
                    return Ok(Updated::Wait(ms));
                }
            }
            Lookup::Found { cas, envelope, .. } => {
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
                progress.wrote = true;
                match core.env.swap(cas, &bytes) {
                    Ok(()) => return Ok(Updated::Done(done)),
                    Err(SwapError::Store(error)) if error.refuses() => {
                        return Err(error.into());
                    }
                    // The next read of the record decides, not this error.
                    Err(SwapError::Failed(_) | SwapError::Store(_)) => {}
                }
            }
        }
    }
    Ok(Updated::Wait(core.pause_ms(3)))
}
