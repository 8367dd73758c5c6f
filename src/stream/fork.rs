//! Forks (section 4.2): streams that begin as another's head, cut at a place.
//!
//! A fork shares the sealed chunks and index blocks of its source and of the source's sources, and
//! has a copy of the bytes that were inline. Its head names the life that owns each, so a read
//! never looks at another head. Each source counts its forks, and lives on unseen while there are
//! any. The count is kept by steps of the fork in [`Forks::steps`], each of which is found by
//! whoever comes later:
//!
//! | step | added | removed |
//! |---|---|---|
//! | joining | before the fork's head is written, pending | with the count raised, or to give the fork up |
//! | joined | with the count raised | once the fork's head is seen without `pending` |
//! | leaving | with the count lowered | once the fork's tombstone is seen not to owe the source |
//!
//! So a pending fork that its source has no step of was given up: nobody can have counted it.

use crate::limits::FORK_STEPS;

use super::{Incarnation, Position};

/// One life of a stream, as the record of another names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Hash of the stream's name.
    pub hash: [u8; 20],
    /// Its life.
    pub incarnation: Incarnation,
}

/// What a stream has to do with its forks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forks {
    /// Forks that are there.
    pub count: u64,
    /// Forks that come or go, at most `limits::FORK_STEPS`.
    pub steps: Vec<(Incarnation, ForkStep)>,
    /// Whether the stream is deleted, and only kept for its forks.
    pub deleted: bool,
}

/// How far a fork came, or how far it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkStep {
    /// It will be written; not counted.
    Joining,
    /// It is counted.
    Joined,
    /// It is not counted any more.
    Leaving,
}

/// As many forks come and go as a head has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many forks of the stream are being created or deleted at this moment")]
pub struct TooManySteps;

impl Forks {
    /// Whether it is like that of a stream that was never forked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a fork needs the stream's bytes, or may need them.
    #[must_use]
    pub fn need_it(&self) -> bool {
        let needs = |(_, step): &(Incarnation, ForkStep)| *step != ForkStep::Leaving;
        self.count > 0 || self.steps.iter().any(needs)
    }

    /// The step of a fork.
    #[must_use]
    pub fn step(&self, fork: Incarnation) -> Option<ForkStep> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.0 == fork).map(|step| step.1)
    }

    fn set(&mut self, fork: Incarnation, to: Option<ForkStep>) {
        self.steps.retain(|step| step.0 != fork);
        self.steps.extend(to.map(|to| (fork, to)));
    }

    /// Adds the step of a fork that will be written.
    ///
    /// # Errors
    ///
    /// When the stream has as many steps under way as it may; try again later.
    pub fn join(&mut self, fork: Incarnation) -> Result<(), TooManySteps> {
        if self.step(fork).is_some() {
            return Ok(());
        }
        if self.steps.len() >= FORK_STEPS {
            return Err(TooManySteps);
        }
        self.steps.push((fork, ForkStep::Joining));
        Ok(())
    }

    /// Counts a fork whose head is written. False if it was given up, or is counted.
    pub fn count(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.count = self.count.saturating_add(1);
            self.set(fork, Some(ForkStep::Joined));
        }
        joining
    }

    /// Forgets the step of a fork that is there. False if there was none.
    pub fn settle(&mut self, fork: Incarnation) -> bool {
        let joined = self.step(fork) == Some(ForkStep::Joined);
        if joined {
            self.set(fork, None);
        }
        joined
    }

    /// Gives up a fork that was not counted. False if there was nothing to give up.
    pub fn give_up(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.set(fork, None);
        }
        joining
    }

    /// Takes a fork, whose tombstone owes the stream, out of the count. `Ok(false)` if it was.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    pub fn leave(&mut self, fork: Incarnation) -> Result<bool, TooManySteps> {
        match self.step(fork) {
            Some(ForkStep::Leaving) => return Ok(false),
            Some(_) => {}
            None if self.steps.len() >= FORK_STEPS => return Err(TooManySteps),
            None => {}
        }
        self.count = self.count.saturating_sub(1);
        self.set(fork, Some(ForkStep::Leaving));
        Ok(true)
    }

    /// Forgets the step of a fork that owes nothing any more. False if there was none.
    pub fn forget(&mut self, fork: Incarnation) -> bool {
        let leaving = self.step(fork) == Some(ForkStep::Leaving);
        if leaving {
            self.set(fork, None);
        }
        leaving
    }
}

/// Index blocks from `first_block` on, up to those of the next run, that another life owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub first_block: u64,
    /// Whose they are.
    pub owner: Incarnation,
}

/// Segments before `end`, from where the span before ends, whose chunks another life owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number of the segment after the last of them.
    pub end: u64,
    /// Whose they are.
    pub owner: Incarnation,
}

/// Whose chunk segment `number` is; `None` if it is of the life that has the spans.
#[must_use]
pub fn owner(spans: &[Span], number: u64) -> Option<Incarnation> {
    let mut spans = spans.iter();
    spans.find(|span| number < span.end).map(|span| span.owner)
}

/// The part of `spans` that says something of the segments from `first` up to `end`.
pub(super) fn spans_within(spans: &[Span], first: u64, end: u64) -> Vec<Span> {
    let mut within: Vec<Span> = Vec::new();
    for span in spans.iter().filter(|span| span.end > first) {
        within.push(Span {
            end: span.end.min(end),
            owner: span.owner,
        });
        if span.end >= end {
            break;
        }
    }
    within
}

/// Where a fork comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The stream it was forked from.
    pub source: Link,
    /// What its creator asked for.
    pub asked: Asked,
    /// Where it leaves its source.
    pub point: Position,
    /// Whether its source has not counted it yet: it is as good as absent.
    pub pending: bool,
    /// Sources on the way to the stream that is no fork.
    pub depth: u64,
    /// The first segment number that no earlier life of the name used.
    pub floor: u64,
    /// Blocks of other lives, ascending.
    pub runs: Vec<Run>,
    /// The first block that is its own.
    pub own_block: u64,
    /// Owners of the first segments among the recent ones.
    pub owners: Vec<Span>,
}

/// The divergence point as a creator gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The offset; `None` for the tail at that time.
    pub offset: Option<Position>,
    /// Bytes or messages after it.
    pub sub: u64,
}

#[cfg(test)]
#[path = "fork_tests.rs"]
mod tests;
