//! Which forks a stream has: the steps of `stream::Forks`, each a swap of one head.
//!
//! Everything here is idempotent. Before a fork's head is swapped for what its source says, the
//! fork's handle is taken and then the source is read; before a source's head is swapped for what
//! a fork says, the source's handle is taken and then the fork is read. So a slow worker never
//! does a step again that others have done, and whose trace they removed.

use super::core::{Core, Fault};
use super::delete::Ended;
use super::env::{Env, SwapError};
use super::update::{SharedCreation, Updated};
use super::work::LEFT_OVER_MS;
use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::keys::{NameHash, Slot};
use crate::limits::FORK_PATIENCE_MS;
use crate::stream::{ForkStep, Head, Link, Tombstone};

/// What there is of one life of a stream, with a handle to swap it.
pub(super) enum Life<Cas> {
    Head(Cas, Box<Head>),
    Tombstone(Cas, Tombstone),
    /// Nothing yet, or another life.
    None,
}

/// How far the creation of a fork is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
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
pub(super) enum Change {
    Keep,
    Write,
    /// There is no room for the step.
    Full,
}

/// Swaps tried before the caller is told to wait.
const TRIES: usize = 4;

/// Sources up a chain that one piece of work tells of a fork's end.
const LEVELS: usize = 2;

/// The stream with this life.
pub(super) const fn link(hash: &NameHash, incarnation: crate::stream::Incarnation) -> Link {
    Link {
        hash: *hash.bytes(),
        incarnation,
    }
}

impl<E: Env> Core<'_, E> {
    pub(super) fn link_slot(&self, link: Link) -> Slot {
        self.keys.head(&NameHash::from_bytes(link.hash))
    }

    /// Looks up one life of a stream.
    pub(super) fn life(&self, link: Link) -> Result<Life<E::Cas>, Fault> {
        Ok(match self.find_record(&self.link_slot(link))? {
            Some((cas, Record::Live(head))) if head.incarnation == link.incarnation => {
                Life::Head(cas, head)
            }
            Some((cas, Record::Tombstone(tombstone)))
                if tombstone.incarnation == link.incarnation =>
            {
                Life::Tombstone(cas, tombstone)
            }
            Some(_) | None => Life::None,
        })
    }

    /// Swaps in a head that only the bookkeeping changed. Such swaps stay out of the ring. False
    /// if it is not known to be there.
    pub(super) fn put(&self, cas: E::Cas, mut head: Box<Head>) -> Result<bool, Fault> {
        head.version = head.version.saturating_add(1);
        match self.env.swap(cas, &Record::Live(head).seal()) {
            Ok(()) => Ok(true),
            Err(SwapError::Store(error)) if error.refuses() => Err(error.into()),
            Err(SwapError::Failed(_) | SwapError::Store(_)) => Ok(false),
        }
    }

    /// Takes the creation of a fork, whose step its source got, one swap on.
    pub(super) fn advance(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Progress, Fault> {
        let (cas, mut head) = match self.life(fork)? {
            Life::Head(cas, head) => (cas, head),
            Life::Tombstone(..) => return Ok(Progress::Over),
            Life::None => return Ok(Progress::Absent),
        };
        let Some(lineage) = head.lineage.as_mut().filter(|lineage| lineage.pending) else {
            return Ok(Progress::Done);
        };
        if let Life::Head(source_cas, mut source) = self.life(source)? {
            match source.forks.step(fork.incarnation) {
                Some(ForkStep::Joining) => {
                    source.forks.count(fork.incarnation);
                    self.put(source_cas, source)?;
                    return Ok(Progress::Moved);
                }
                Some(ForkStep::Joined) => {
                    lineage.pending = false;
                    self.put(cas, head)?;
                    return Ok(Progress::Moved);
                }
                Some(ForkStep::Leaving) | None => {}
            }
        }
        // Given up before it was counted; nobody can count it any more.
        let hash = NameHash::from_bytes(fork.hash);
        self.end_life(&hash, cas, &head, self.env.now_ms(), shared)?;
        Ok(Progress::Moved)
    }

    /// Forgets the step of a fork that is there.
    pub(super) fn settle_join(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Updated<bool>, Fault> {
        self.change_source(source, shared, |head| {
            Ok(changed(head.forks.settle(fork.incarnation)))
        })
    }

    /// Gives up a fork whose head is not written. Says whether its source had its step.
    pub(super) fn give_up(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Updated<bool>, Fault> {
        self.change_source(source, shared, |head| {
            Ok(changed(head.forks.give_up(fork.incarnation)))
        })
    }

    /// Takes a step in paying what the tombstone of a fork owes its source: takes the fork out of
    /// the count, once, or clears the debt.
    pub(super) fn release(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        let hash = NameHash::from_bytes(fork.hash);
        if let Updated::Wait(ms) = self.note_work(&hash, fork.incarnation, Some(source), shared)? {
            return Ok(Updated::Wait(ms));
        }
        let left = self.change_source(source, shared, |head| {
            if !self.owes(fork)? {
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
        self.settle_tombstone(fork, |tombstone| tombstone.source.take().is_some())?;
        Ok(Updated::Done(()))
    }

    /// Takes something that is done out of the tombstone of a life, if `settle` says that it was
    /// there. Tried once: whoever comes next finds what is left.
    pub(super) fn settle_tombstone(
        &self,
        life: Link,
        settle: impl FnOnce(&mut Tombstone) -> bool,
    ) -> Result<(), Fault> {
        let Life::Tombstone(cas, mut tombstone) = self.life(life)? else {
            return Ok(());
        };
        if !settle(&mut tombstone) {
            return Ok(());
        }
        tombstone.version = tombstone.version.saturating_add(1);
        match self.env.swap(cas, &Record::Tombstone(tombstone).seal()) {
            Ok(()) | Err(SwapError::Failed(_)) => Ok(()),
            Err(SwapError::Store(error)) => Err(error.into()),
        }
    }

    /// Does what [`Self::release`] does, and the same for a source that went with its last fork: what
    /// a chain of deleted streams needs would else wait for as many pieces of work. What is left to
    /// do is noted.
    pub(super) fn cascade(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        let (mut fork, mut source) = (fork, source);
        for _ in 0..LEVELS {
            if let Updated::Wait(ms) = self.release(fork, source, shared)? {
                return Ok(Updated::Wait(ms));
            }
            let next = match self.record(&self.link_slot(source))? {
                Some(Record::Tombstone(gone)) if gone.incarnation == source.incarnation => {
                    gone.source
                }
                _ => None,
            };
            let Some(next) = next else { break };
            fork = source;
            source = next;
        }
        Ok(Updated::Done(()))
    }

    /// Forgets the step of a fork that owes its source nothing any more.
    pub(super) fn forget(
        &self,
        fork: Link,
        source: Link,
        shared: &mut SharedCreation,
    ) -> Result<Updated<bool>, Fault> {
        self.change_source(source, shared, |head| {
            if self.owes(fork)? {
                return Ok(Change::Keep);
            }
            Ok(changed(head.forks.forget(fork.incarnation)))
        })
    }

    /// Whether the tombstone of this life says that its source counts it.
    fn owes(&self, fork: Link) -> Result<bool, Fault> {
        let record = self.record(&self.link_slot(fork))?;
        Ok(matches!(
            record,
            Some(Record::Tombstone(tombstone))
                if tombstone.incarnation == fork.incarnation && tombstone.source.is_some()
        ))
    }

    /// Changes what a source's head says of its forks. A deleted stream that the change leaves
    /// without forks becomes a tombstone in the same swap. Says whether anything was changed.
    pub(super) fn change_source(
        &self,
        source: Link,
        shared: &mut SharedCreation,
        mut change: impl FnMut(&mut Head) -> Result<Change, Fault>,
    ) -> Result<Updated<bool>, Fault> {
        for _ in 0..TRIES {
            let Life::Head(cas, mut head) = self.life(source)? else {
                return Ok(Updated::Done(false));
            };
            match change(&mut head)? {
                Change::Keep => return Ok(Updated::Done(false)),
                Change::Full => return Ok(Updated::Wait(self.pause_ms(3))),
                Change::Write => {}
            }
            if head.forks.deleted && !head.forks.need_it() {
                let hash = NameHash::from_bytes(source.hash);
                match self.end_life(&hash, cas, &head, self.env.now_ms(), shared)? {
                    Ended::Done | Ended::Hidden => return Ok(Updated::Done(true)),
                    Ended::Look => {}
                    Ended::Wait(ms) => return Ok(Updated::Wait(ms)),
                }
            } else if self.put(cas, head)? {
                return Ok(Updated::Done(true));
            }
        }
        Ok(Updated::Wait(self.pause_ms(3)))
    }

    /// One step of a fork's creation that its creator may have left.
    pub(super) fn work_join(&self, shard: u8, entry: &Entry) -> Result<bool, Fault> {
        let Entry::Join {
            hash,
            incarnation,
            source,
            since_ms,
        } = entry
        else {
            return Ok(false);
        };
        let mut shared = self.drawn_patience();
        let fork = link(hash, *incarnation);
        let age = self.env.now_ms().saturating_sub(*since_ms);
        match self.advance(fork, *source, &mut shared)? {
            Progress::Moved => return Ok(true),
            Progress::Done => match self.settle_join(fork, *source, &mut shared)? {
                Updated::Done(_) => {}
                Updated::Wait(_) => return Ok(false),
            },
            // Perhaps by a bar, and whoever set it was stopped before the source was moved on.
            Progress::Over => {
                if let Updated::Wait(_) = self.outrun(fork, *source, &mut shared)? {
                    return Ok(false);
                }
            }
            // Its creator is about to write it, or never will.
            Progress::Absent if age <= FORK_PATIENCE_MS => return Ok(false),
            Progress::Absent => match self.give_up(fork, *source, &mut shared)? {
                Updated::Done(true) => return Ok(true),
                Updated::Done(false) if age > LEFT_OVER_MS => {
                    match self.bar(fork, *source, &mut shared)? {
                        Updated::Done(true) => {}
                        Updated::Done(false) => return Ok(true),
                        Updated::Wait(_) => return Ok(false),
                    }
                }
                Updated::Done(false) | Updated::Wait(_) => return Ok(false),
            },
        }
        self.remove_todo(shard, entry, &mut shared)?;
        Ok(true)
    }
}

pub(super) const fn changed(fresh: bool) -> Change {
    match fresh {
        true => Change::Write,
        false => Change::Keep,
    }
}
