//! Forks (section 4.2): streams that begin as a copy of another stream's head, cut at a position.
//!
//! A fork shares the sealed chunks and index blocks of its source and of the source's sources, and
//! copies the bytes that were inline. Its head names the life that owns each shared chunk, so a
//! read never reads another head. Each source counts its forks, and is kept as a hidden stream
//! while it has any. The count is maintained by the steps of each fork in [`Forks::steps`], where
//! any instance can find and complete them:
//!
//! | step | added | removed |
//! |---|---|---|
//! | joining | before the fork's pending head is written | when the count is raised or the fork given up |
//! | joined | when the count is raised | once the fork's head is seen without `pending` |
//! | leaving | when the count is lowered | once the fork's tombstone is seen not to owe the source |
//!
//! So a pending fork without a step in its source was given up, and was never counted.

use crate::limits::FORK_STEPS;

use super::{Incarnation, Position};

/// A life of another stream, as a record refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link {
    /// Hash of the stream's name.
    pub hash: [u8; 20],
    /// The life of the stream.
    pub incarnation: Incarnation,
}

/// The forks of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forks {
    /// Number of counted forks.
    pub count: u64,
    /// Forks that join or leave, at most `limits::FORK_STEPS`.
    pub steps: Vec<(Incarnation, ForkStep)>,
    /// Whether the stream is deleted, and kept only for its forks.
    pub deleted: bool,
}

/// The step that a fork has reached in joining or leaving its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkStep {
    /// The fork's head will be written; the fork is not counted.
    Joining,
    /// The fork is counted.
    Joined,
    /// The fork is no longer counted.
    Leaving,
}

/// The head has no room for another step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many forks of the stream are being created or deleted now")]
pub struct TooManySteps;

impl Forks {
    /// Whether the value is that of a stream that was never forked.
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

    /// Returns the step of a fork.
    #[must_use]
    pub fn step(&self, fork: Incarnation) -> Option<ForkStep> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.0 == fork).map(|step| step.1)
    }

    fn set(&mut self, fork: Incarnation, to: Option<ForkStep>) {
        self.steps.retain(|step| step.0 != fork);
        self.steps.extend(to.map(|to| (fork, to)));
    }

    /// Adds the step of a fork before its head is written.
    ///
    /// # Errors
    ///
    /// The stream has the largest number of steps under way. The caller may retry later.
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

    /// Counts a fork after its head is written. Returns false if the fork was given up or is
    /// already counted.
    pub fn count(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.count = self.count.saturating_add(1);
            self.set(fork, Some(ForkStep::Joined));
        }
        joining
    }

    /// Removes the step of a fork that exists. Returns false if there was none.
    pub fn settle(&mut self, fork: Incarnation) -> bool {
        let joined = self.step(fork) == Some(ForkStep::Joined);
        if joined {
            self.set(fork, None);
        }
        joined
    }

    /// Gives up a fork that was not counted. Returns false if there was nothing to give up.
    pub fn give_up(&mut self, fork: Incarnation) -> bool {
        let joining = self.step(fork) == Some(ForkStep::Joining);
        if joining {
            self.set(fork, None);
        }
        joining
    }

    /// Stops counting a deleted fork. The fork's tombstone must still name this stream as its
    /// source. Returns `Ok(false)` if the fork is already not counted.
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

    /// Removes the step of a deleted fork that no longer names this source. Returns false if there
    /// was none.
    pub fn forget(&mut self, fork: Incarnation) -> bool {
        let leaving = self.step(fork) == Some(ForkStep::Leaving);
        if leaving {
            self.set(fork, None);
        }
        leaving
    }
}

/// A run of index blocks that another life owns: from `first_block` to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first block.
    pub first_block: u64,
    /// The life that owns the blocks.
    pub owner: Incarnation,
}

/// A span of segments with chunks that another life owns: from the end of the previous span to
/// `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Number after the last segment.
    pub end: u64,
    /// The life that owns the chunks.
    pub owner: Incarnation,
}

/// Returns the owner of segment `number`'s chunk; `None` if the life that has the spans owns it.
#[must_use]
pub fn owner(spans: &[Span], number: u64) -> Option<Incarnation> {
    let mut spans = spans.iter();
    spans.find(|span| number < span.end).map(|span| span.owner)
}

/// Returns the part of `spans` that covers the segments from `first` up to `end`.
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

/// The origin of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The stream it was forked from.
    pub source: Link,
    /// The divergence point that the creator requested.
    pub asked: Asked,
    /// The position at which the fork leaves its source.
    pub point: Position,
    /// Whether the source has not counted the fork yet. Until then the fork counts as absent.
    pub pending: bool,
    /// Number of sources up to the stream that is not a fork.
    pub depth: u64,
    /// The first segment number that no earlier life of the name used.
    pub floor: u64,
    /// Index blocks of other lives, ascending.
    pub runs: Vec<Run>,
    /// Number of the first index block that the fork itself owns.
    pub own_block: u64,
    /// Owners of the first recent segments.
    pub owners: Vec<Span>,
}

/// A divergence point as the creator requested it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The offset; `None` for the tail at the time of the creation.
    pub offset: Option<Position>,
    /// Bytes or messages after the offset.
    pub sub: u64,
}

#[cfg(test)]
#[path = "fork_tests.rs"]
mod tests;
