//! Which forks a stream has: the steps of `stream::Forks`, each a swap of one head.
//!
//! Everything here is idempotent. Before a fork's head is swapped for what its source says, the
//! fork's handle is taken and then the source is read; before a source's head is swapped for what
//! a fork says, the source's handle is taken and then the fork is read. So a slow worker never
//! does a step again that others have done, and whose trace they removed.

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

/// How far the creation of a fork is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Progress {
    /// Look again: it went a step on, or somebody else moved it.
    Moved,
    /// It is there.
    Done,
    /// It is given up, or deleted.
    Over,
    /// Its head is not written.
    Absent,
}

/// What a source's head is to become.
pub(in crate::service) enum Change {
    Keep,
    Write,
    /// There is no room for the step.
    Full,
}

/// Swaps tried before the caller is told to wait.
const TRIES: usize = 4;

/// Sources up a chain that one piece of work tells of a fork's end.
const LEVELS: usize = 2;

/// Takes the creation of a fork, whose step its source got, one swap on.
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
    // Given up before it was counted; nobody can count it any more.
    let hash = NameHash::from_bytes(fork.hash);
    ending::end_life(core, &hash, cas, &head, core.env.now_ms(), shared)?;
    Ok(Progress::Moved)
}

/// Forgets the step of a fork that is there.
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

/// Gives up a fork whose head is not written. Says whether its source had its step.
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

/// Takes a step in paying what the tombstone of a fork owes its source: takes the fork out of
/// the count, once, or clears the debt.
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
        // The debt is cleared by the next call: that is enough for one piece of work.
        Updated::Done(true) => return Ok(Updated::Done(())),
        Updated::Done(false) => {}
    }
    settle_tombstone(core, fork, |tombstone| tombstone.source.take().is_some())?;
    Ok(Updated::Done(()))
}

/// Takes something that is done out of the tombstone of a life, if `settle` says that it was
/// there. Tried once: whoever comes next finds what is left.
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

/// Does what [`release`] does, and the same for a source that went with its last fork: what
/// a chain of deleted streams needs would else wait for as many pieces of work. What is left to
/// do is noted.
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

/// Whether the tombstone of this life says that its source counts it.
fn owes<E: Env>(core: &Core<E>, fork: Link) -> Result<bool, Fault> {
    let record = heads::record(core, &heads::link_slot(core, fork))?;
    Ok(matches!(
        record,
        Some(Record::Tombstone(tombstone))
            if tombstone.incarnation == fork.incarnation && tombstone.source.is_some()
    ))
}

/// Changes what a source's head says of its forks. A deleted stream that the change leaves
/// without forks becomes a tombstone in the same swap. Says whether anything was changed.
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
