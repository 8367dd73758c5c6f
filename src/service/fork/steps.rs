//! Bookkeeping of a stream's forks: the steps of `stream::Forks`, each a swap of one head.
//!
//! Every step is idempotent. A step that updates a fork's head from its source takes the fork's
//! handle first, and reads the source second. A step that updates a source's head from a fork takes
//! the source's handle first, and reads the fork second. So a slow worker never repeats a step that
//! other workers have completed, even if they removed its trace.

use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::service::core::Core;
use crate::service::ending::Ended;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::heads::Life;
use crate::service::progress::SharedCreation;
use crate::service::records::todo;
use crate::service::records::update::Updated;
use crate::service::{ending, heads};
use crate::stream::{ForkStep, Head, Link, Tombstone};

/// Progress of the creation of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Progress {
    /// Read again: this step or another worker advanced the fork.
    Moved,
    /// The fork exists.
    Done,
    /// The fork was given up, or deleted.
    Over,
    /// The fork's head is not written.
    Absent,
}

/// Change of a source's head.
pub(in crate::service) enum Change {
    Keep,
    Write,
    /// The source has no room for the step.
    Full,
}

/// Swaps tried before the caller has to wait.
const TRIES: usize = 4;

/// Sources up a chain that one piece of work updates after a fork's end.
const LEVELS: usize = 2;

/// Advances the creation of a fork, after its source got its step, by one swap.
pub(in crate::service) fn advance<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Progress, Fault> {
    let (cas, mut head) = match heads::life(core, fork)? {
        Life::Head(cas, head) => (cas, head),
        Life::Tombstone(..) => return Ok(Progress::Over),
        Life::None => return Ok(Progress::Absent),
    };
    let Some(lineage) = head.lineage.as_mut().filter(|lineage| lineage.pending) else {
        return Ok(Progress::Done);
    };
    if let Life::Head(source_cas, mut source) = heads::life(core, source)? {
        match source.forks.step(fork.incarnation) {
            Some(ForkStep::Joining) => {
                source.forks.count(fork.incarnation);
                heads::put(core, source_cas, source)?;
                return Ok(Progress::Moved);
            }
            Some(ForkStep::Joined) => {
                lineage.pending = false;
                heads::put(core, cas, head)?;
                return Ok(Progress::Moved);
            }
            Some(ForkStep::Leaving) | None => {}
        }
    }
    // The fork was given up before it was counted; no worker can count it any more.
    let hash = NameHash::from_bytes(fork.hash);
    ending::end_life(core, &hash, cas, &head, core.env.now_ms(), shared)?;
    Ok(Progress::Moved)
}

/// Forgets the step of a fork that exists.
pub(in crate::service) fn settle_join<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    change_source(core, source, shared, |head| {
        Ok(changed(head.forks.settle(fork.incarnation)))
    })
}

/// Gives up a fork with no written head. Returns whether its source had its step.
pub(in crate::service) fn give_up<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    change_source(core, source, shared, |head| {
        Ok(changed(head.forks.give_up(fork.incarnation)))
    })
}

/// Takes one step in paying the debt of a fork's tombstone to its source: takes the fork out of the
/// count, once, or clears the debt.
pub(in crate::service) fn release<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    let hash = NameHash::from_bytes(fork.hash);
    if let Updated::Wait(ms) = todo::note_work(core, &hash, fork.incarnation, Some(source), shared)?
    {
        return Ok(Updated::Wait(ms));
    }
    let left = change_source(core, source, shared, |head| {
        if !owes(core, fork)? {
            return Ok(Change::Keep);
        }
        Ok(match head.forks.leave(fork.incarnation) {
            Ok(fresh) => changed(fresh),
            Err(_) => Change::Full,
        })
    })?;
    match left {
        Updated::Wait(ms) => return Ok(Updated::Wait(ms)),
        // The next call clears the debt: one change is enough for one piece of work.
        Updated::Done(true) => return Ok(Updated::Done(())),
        Updated::Done(false) => {}
    }
    settle_tombstone(core, fork, |tombstone| tombstone.source.take().is_some())?;
    Ok(Updated::Done(()))
}

/// Removes a completed debt from the tombstone of a life; `settle` returns whether it was still
/// there. Tried once: the next worker finds the rest.
pub(in crate::service) fn settle_tombstone<E: Env>(
    core: &Core<E>,
    life: Link,
    settle: impl FnOnce(&mut Tombstone) -> bool,
) -> Result<(), Fault> {
    let Life::Tombstone(cas, mut tombstone) = heads::life(core, life)? else {
        return Ok(());
    };
    if !settle(&mut tombstone) {
        return Ok(());
    }
    tombstone.version = tombstone.version.saturating_add(1);
    match core.env.swap(cas, &Record::Tombstone(tombstone).seal()) {
        Ok(()) | Err(SwapError::Failed(_)) => Ok(()),
        Err(SwapError::Store(error)) => Err(error.into()),
    }
}

/// Does the work of [`release`], also for a source that ended with its last fork. Otherwise a chain
/// of deleted streams would wait for one piece of work per stream. To-do entries note the remaining
/// work.
pub(in crate::service) fn cascade<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    let (mut fork, mut source) = (fork, source);
    for _ in 0..LEVELS {
        if let Updated::Wait(ms) = release(core, fork, source, shared)? {
            return Ok(Updated::Wait(ms));
        }
        let next = match heads::record(core, &heads::link_slot(core, source))? {
            Some(Record::Tombstone(gone)) if gone.incarnation == source.incarnation => gone.source,
            _ => None,
        };
        let Some(next) = next else { break };
        fork = source;
        source = next;
    }
    Ok(Updated::Done(()))
}

/// Forgets the step of a fork that owes its source nothing any more.
pub(in crate::service) fn forget<E: Env>(
    core: &Core<E>,
    fork: Link,
    source: Link,
    shared: &mut SharedCreation,
) -> Result<Updated<bool>, Fault> {
    change_source(core, source, shared, |head| {
        if owes(core, fork)? {
            return Ok(Change::Keep);
        }
        Ok(changed(head.forks.forget(fork.incarnation)))
    })
}

/// Whether the tombstone of this life still has a debt to its source, which counts it.
fn owes<E: Env>(core: &Core<E>, fork: Link) -> Result<bool, Fault> {
    let record = heads::record(core, &heads::link_slot(core, fork))?;
    Ok(matches!(
        record,
        Some(Record::Tombstone(tombstone))
            if tombstone.incarnation == fork.incarnation && tombstone.source.is_some()
    ))
}

/// Changes the fork bookkeeping in a source's head. If the change leaves a deleted stream without
/// forks, the same swap makes it a tombstone. Returns whether anything was changed.
pub(in crate::service) fn change_source<E: Env>(
    core: &Core<E>,
    source: Link,
    shared: &mut SharedCreation,
    mut change: impl FnMut(&mut Head) -> Result<Change, Fault>,
) -> Result<Updated<bool>, Fault> {
    for _ in 0..TRIES {
        let Life::Head(cas, mut head) = heads::life(core, source)? else {
            return Ok(Updated::Done(false));
        };
        match change(&mut head)? {
            Change::Keep => return Ok(Updated::Done(false)),
            Change::Full => return Ok(Updated::Wait(core.pause_ms(3))),
            Change::Write => {}
        }
        if head.forks.deleted && !head.forks.need_it() {
            let hash = NameHash::from_bytes(source.hash);
            match ending::end_life(core, &hash, cas, &head, core.env.now_ms(), shared)? {
                Ended::Done | Ended::Hidden => return Ok(Updated::Done(true)),
                Ended::Look => {}
                Ended::Wait(ms) => return Ok(Updated::Wait(ms)),
            }
        } else if heads::put(core, cas, head)? {
            return Ok(Updated::Done(true));
        }
    }
    Ok(Updated::Wait(core.pause_ms(3)))
}

pub(in crate::service) const fn changed(fresh: bool) -> Change {
    match fresh {
        true => Change::Write,
        false => Change::Keep,
    }
}
