//! Reads that lag behind.

use std::collections::{BTreeMap, VecDeque};

/// Replaced values that a plain read may still return for some operations, as a replica of
/// DynamoDB does without `consistent_read`. `S` is a key as the caller saw it.
#[derive(Debug)]
pub struct Lag<S> {
    /// Operations for which a replaced value may be read.
    longest: u64,
    /// Operations so far.
    now: u64,
    /// For each key, the value before its last write, and the number of that operation.
    before: BTreeMap<Box<str>, (S, u64)>,
    /// The writes, the oldest first.
    writes: VecDeque<(u64, Box<str>)>,
}

impl<S: Clone> Lag<S> {
    /// Replaced values may be read for `longest` operations.
    #[must_use]
    pub const fn new(longest: u64) -> Self {
        Self {
            longest,
            now: 0,
            before: BTreeMap::new(),
            writes: VecDeque::new(),
        }
    }

    /// Counts one operation, and forgets values that are too old.
    fn pass(&mut self) {
        self.now = self.now.wrapping_add(1);
        let oldest = self.now.saturating_sub(self.longest);
        while let Some((at, key)) = self.writes.front() {
            if *at >= oldest {
                return;
            }
            if self.before.get(key).is_some_and(|(_, then)| then == at) {
                self.before.remove(key);
            }
            self.writes.pop_front();
        }
    }

    /// Records a write of `key`, which was as `before` until then.
    pub fn write(&mut self, key: &str, before: S) {
        self.pass();
        self.before.insert(key.into(), (before, self.now));
        self.writes.push_back((self.now, key.into()));
    }

    /// The replaced value that a plain read of `key` returns; none if the read does not lag. A
    /// replica that is behind answers every other operation.
    pub fn read(&mut self, key: &str) -> Option<S> {
        self.pass();
        let (seen, _) = self.before.get(key)?;
        self.now.is_multiple_of(2).then(|| seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_value_is_read_for_a_while_and_then_never_again() {
        let mut lag = Lag::new(8);
        lag.write("k", "old");
        let read: Vec<_> = (0..16).map(|_| lag.read("k")).collect();
        let (lagging, later) = read.split_at(8);
        assert!(lagging.contains(&Some("old")) && lagging.contains(&None));
        assert_eq!(later, [None; 8]);
        assert_eq!(lag.read("other"), None);
    }
}
