//! The commits that a head remembers. They tell whether an attempt was applied.

use std::collections::VecDeque;

use crate::limits::{RING_COMMITS, RING_MOST_COMMITS};

/// The last commits of one incarnation: their random ids and the versions they made, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ring {
    commits: VecDeque<(u64, u64)>,
}

impl Ring {
    /// Creates the ring with these commits, oldest first. The oldest commits beyond the largest
    /// size are dropped.
    #[must_use]
    pub fn of(mut commits: Vec<(u64, u64)>) -> Self {
        commits.drain(..commits.len().saturating_sub(RING_MOST_COMMITS));
        Self {
            commits: VecDeque::from(commits),
        }
    }

    /// Adds the commit `id` that made `version`. `contended` says that other commits succeeded
    /// while this one was attempted. On a contended stream many commits may pass while a swap waits
    /// in the queue of its store, so the ring grows. Without contention it shrinks by one with each
    /// commit.
    pub fn push(&mut self, id: u64, version: u64, contended: bool) {
        self.commits.push_back((id, version));
        let kept = match contended {
            true => RING_MOST_COMMITS,
            false => RING_COMMITS.max(self.commits.len().saturating_sub(2)),
        };
        let over = self.commits.len().saturating_sub(kept);
        self.commits.drain(..over);
    }

    /// Whether the ring contains commit `id`.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.commits.iter().any(|commit| commit.0 == id)
    }

    /// Whether the ring would contain a commit on top of version `base` if it had been applied.
    /// `born` is the version with which the incarnation began.
    #[must_use]
    pub fn reaches(&self, base: u64, born: u64) -> bool {
        match self.commits.front() {
            Some(oldest) if self.commits.len() >= RING_COMMITS => {
                oldest.1 <= base.saturating_add(1)
            }
            _ => base >= born,
        }
    }

    /// The commits, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.commits.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_is_not_full_knows_all_commits_since_birth() {
        let ring = Ring::of(vec![(7, 11), (8, 13)]);
        assert!(ring.contains(8) && !ring.contains(9));
        assert!(ring.reaches(10, 10) && !ring.reaches(9, 10));
    }

    #[test]
    fn a_full_ring_reaches_back_to_the_version_under_its_oldest_commit() {
        let mut ring = Ring::default();
        for n in 0..100 {
            ring.push(n, n + 1, false);
        }
        assert_eq!(ring.iter().len(), RING_COMMITS);
        assert!(!ring.contains(35) && ring.contains(36));
        assert!(ring.reaches(36, 0) && !ring.reaches(35, 0));
    }

    #[test]
    fn a_ring_grows_under_contention_and_shrinks_by_one_a_commit_without() {
        let mut ring = Ring::default();
        for n in 0..2_000 {
            ring.push(n, n + 1, true);
            assert!(ring.reaches(n.saturating_sub(500), 0), "{n}");
        }
        assert_eq!(ring.iter().len(), RING_MOST_COMMITS);
        for n in 2_000..2_100 {
            ring.push(n, n + 1, false);
        }
        assert_eq!(ring.iter().len(), RING_MOST_COMMITS - 100);
        assert!(ring.reaches(1_700, 0) && !ring.reaches(1_500, 0));
        for n in 2_100..4_000 {
            ring.push(n, n + 1, false);
        }
        assert_eq!(ring.iter().len(), RING_COMMITS);
    }
}
