//! The commits a head remembers, by which an attempt learns whether it was applied.

use std::collections::VecDeque;

use crate::limits::RING_COMMITS;

/// The last commits of one incarnation: their random ids and the versions they made, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ring {
    commits: VecDeque<(u64, u64)>,
}

impl Ring {
    /// The ring with these commits, oldest first; the oldest beyond its size are dropped.
    #[must_use]
    pub fn of(mut commits: Vec<(u64, u64)>) -> Self {
        commits.drain(..commits.len().saturating_sub(RING_COMMITS));
        Self {
            commits: VecDeque::from(commits),
        }
    }

    /// Adds the commit `id` that made `version`.
    pub fn push(&mut self, id: u64, version: u64) {
        if self.commits.len() >= RING_COMMITS {
            self.commits.pop_front();
        }
        self.commits.push_back((id, version));
    }

    /// Whether commit `id` is one of them.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.commits.iter().any(|commit| commit.0 == id)
    }

    /// Whether a commit made on top of version `base` would be here if it had been applied.
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
        let ring = Ring::of((0..100).map(|n| (n, n + 1)).collect());
        assert_eq!(ring.iter().len(), RING_COMMITS);
        assert!(!ring.contains(35) && ring.contains(36));
        assert!(ring.reaches(36, 0) && !ring.reaches(35, 0));
    }
}
