//! The end of abandoned forks: a tombstone bars the name to the fork's life.
//!
//! A fork's to-do entry is the only trace of it that is sure to be found. So the entry is removed
//! only once the fork's creator can leave no other trace. The age of the entry does not prove that,
//! since the clocks of two instances may differ by more than any timeout. The order of the steps
//! is:
//!
//! 1. A tombstone of the fork's life takes the place of its head, which can then never be written.
//! 2. The source gets another version, so that a swap that adds the fork's step comes too late.
//! 3. The entry is removed.
//!
//! A creator takes the handle of its source before it looks for that tombstone.

use super::steps::{self, changed};
use crate::keys::head::Record;
use crate::keys::{Envelope, Slot};
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::heads::Lookup;
use crate::service::progress::{Election, SharedCreation};
use crate::service::records::election::{Candidate, Step};
use crate::service::records::update::Updated;
use crate::stream::{Incarnation, Link, Tombstone};

/// The tombstone of a life that never began. It replaces `before`, the name's last tombstone.
fn barred(life: Incarnation, before: Option<Tombstone>) -> Tombstone {
    let before = before.as_ref();
    Tombstone {
        // Empty if the name was never used: only its hash is known here.
        name: before.map_or_else(String::new, |before| before.name.clone()),
        incarnation: life,
        version: before.map_or(1, |before| before.version.saturating_add(1)),
        next_segment: before.map_or(0, |before| before.next_segment),
        timeline: before.map_or(0, |before| before.timeline),
        owes: None,
        source: None,
    }
}

fn is_of(envelope: &Envelope, life: Incarnation) -> bool {
    let record = Record::decode(&envelope.body, envelope.version);
    matches!(record, Ok(Record::Tombstone(tombstone)) if tombstone.incarnation == life)
}

/// Ensures that a fork with no written head never begins and leaves nothing in its source. False if
/// the caller must read the fork again.
pub(in crate::service) fn bar<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    match bar_name(core, fork, &mut shared.election)? {
        Updated::Done(true) => {}
        other => return Ok(other),
    }
    Ok(match outrun(core, fork, source, shared)? {
        Updated::Done(_) => Updated::Done(true),
        Updated::Wait(ms) => Updated::Wait(ms),
    })
}

/// Whether a fork can't begin any more.
pub(in crate::service) fn is_barred<E: Env>(core: &Core<E>, fork: Link) -> Result<bool, Fault> {
    let found = heads::read(core, &heads::link_slot(core, fork))?;
    Ok(found.is_some_and(|(_, envelope)| is_of(&envelope, fork.incarnation)))
}

/// Ensures that the head of a fork can't be written. False if the caller must read the fork again.
fn bar_name<E: Env>(
    core: &Core<E>,
    fork: Link,
    creation: &mut Election,
) -> Result<Updated<bool>, Fault> {
    let (slot, life) = (heads::link_slot(core, fork), fork.incarnation);
    let (cas, record) = match heads::find(core, &slot)? {
        Lookup::Found {
            gate,
            cas,
            envelope,
        } => (cas, heads::decode(&slot, gate, &envelope)?),
        Lookup::Missing { gate } => {
            *creation = Election {
                gate,
                drawn_ms: creation.drawn_ms,
                ..Election::default()
            };
            return create_barred(core, &slot, life, creation);
        }
    };
    let before = match record {
        Record::Live(head) => return Ok(Updated::Done(head.incarnation != life)),
        Record::Tombstone(before) if before.incarnation == life => {
            return Ok(Updated::Done(true));
        }
        // Another step is about to clear its debt or its source.
        Record::Tombstone(before) if before.owes.is_some() || before.source.is_some() => {
            return Ok(Updated::Wait(core.pause_ms(3)));
        }
        Record::Tombstone(before) => before,
    };
    let record = Record::Tombstone(barred(life, Some(before)));
    match core.env.swap(cas, &record.seal()) {
        Ok(()) => Ok(Updated::Done(true)),
        Err(SwapError::Store(error)) if error.refuses() => Err(error.into()),
        Err(SwapError::Failed(_) | SwapError::Store(_)) => Ok(Updated::Done(false)),
    }
}

fn create_barred<E: Env>(
    core: &Core<E>,
    slot: &Slot,
    life: Incarnation,
    creation: &mut Election,
) -> Result<Updated<bool>, Fault> {
    let record = Record::Tombstone(barred(life, None));
    let candidate = Candidate {
        core,
        slot,
        version: record.version(),
        body: &record.encode(),
        is_ours: &|envelope| is_of(envelope, life),
    };
    Ok(match candidate.step(creation)? {
        Step::Created => Updated::Done(true),
        Step::Taken => Updated::Done(false),
        Step::Wait(ms) => Updated::Wait(ms),
    })
}

/// Ensures that a swap that adds a fork's step, and may still be under way, comes too late: the
/// source then has another version.
pub(in crate::service) fn outrun<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    let mut first = None;
    steps::change_source(core, source, shared, |head| {
        let came = head.forks.give_up(fork.incarnation);
        let version = *first.get_or_insert(head.version);
        Ok(changed(came || version == head.version))
    })
}
