//! Streams and bytes by prefix.

use super::rules::Scope;
use crate::limits::PREFIXES;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Streams and bytes. They are below zero for a moment if the counts of two swaps arrive in the other
/// order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    streams: i64,
    bytes: i64,
}

impl Counts {
    /// The counts of one stream with this many bytes.
    pub(super) fn of_stream(bytes: u64) -> Self {
        Self {
            streams: 1,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }

    /// The sum of both.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            streams: self.streams.saturating_add(other.streams),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// These counts below zero.
    pub(super) const fn negated(self) -> Self {
        Self {
            streams: self.streams.saturating_neg(),
            bytes: self.bytes.saturating_neg(),
        }
    }

    const fn is_zero(self) -> bool {
        self.streams == 0 && self.bytes == 0
    }

    /// Number of streams.
    pub(super) fn streams(self) -> u64 {
        u64::try_from(self.streams).unwrap_or_default()
    }

    /// Number of bytes.
    pub(super) fn bytes(self) -> u64 {
        u64::try_from(self.bytes).unwrap_or_default()
    }
}

/// Divisor of all places for prefixes: with as many free places as the quotient, the rest is counted
/// anew, whatever it has.
const REST_PART: usize = 16;

/// Counts by prefix. Prefixes with a rule of their own are always there. Of the others, those that have
/// streams are there, up to a limit. The rest is counted together.
#[derive(Debug)]
pub(super) struct Table {
    prefixes: BTreeMap<Box<str>, Counts>,
    /// All other prefixes together.
    rest: Counts,
    most: usize,
}

impl Table {
    /// A table without streams, with these prefixes.
    pub(super) fn new<'a>(named: impl Iterator<Item = &'a str>) -> Self {
        let prefixes: BTreeMap<_, _> = named.map(|name| (name.into(), Counts::default())).collect();
        Self {
            most: prefixes.len().saturating_add(PREFIXES),
            prefixes,
            rest: Counts::default(),
        }
    }

    /// Adds to the counts of a prefix.
    pub(super) fn add(&mut self, scope: Scope<'_>, more: Counts) {
        if let Some(counts) = self.prefixes.get_mut(scope.prefix) {
            *counts = counts.plus(more);
            if counts.is_zero() && !scope.is_named {
                self.prefixes.remove(scope.prefix);
            }
        } else if self.has_room() {
            if !more.is_zero() {
                self.prefixes.insert(scope.prefix.into(), more);
            }
        } else {
            self.rest = self.rest.plus(more);
        }
    }

    /// Whether a new prefix is counted by itself. While the rest has streams, some of them may be of
    /// this prefix.
    fn has_room(&self) -> bool {
        self.prefixes.len() < self.most && self.rest.is_zero()
    }

    /// Whether there is room to count the rest by its prefixes, which takes a walk.
    pub(super) fn has_room_for_rest(&self) -> bool {
        let streams = usize::try_from(self.rest.streams()).unwrap_or(usize::MAX);
        // Many streams may have few prefixes.
        let prefixes = streams.min(self.most / REST_PART);
        !self.rest.is_zero() && self.prefixes.len().saturating_add(prefixes) <= self.most
    }

    /// Counts of a prefix. None if it is counted with others.
    pub(super) fn of(&self, prefix: &str) -> Option<Counts> {
        let counts = self.prefixes.get(prefix).copied();
        counts.or_else(|| self.has_room().then(Counts::default))
    }

    /// The prefixes after this one, in order.
    pub(super) fn after(&self, prefix: &str) -> impl Iterator<Item = (&str, Counts)> {
        let from = (Bound::Excluded(prefix), Bound::Unbounded);
        let found = self.prefixes.range::<str, _>(from);
        found.map(|(prefix, counts)| (&**prefix, *counts))
    }

    /// Counts of all prefixes that are not counted by themselves.
    pub(super) const fn rest(&self) -> Counts {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn other(prefix: &str) -> Scope<'_> {
        Scope {
            prefix,
            rule: 0,
            is_named: false,
        }
    }

    #[test]
    fn a_million_prefixes_take_no_more_room_than_the_limit() {
        let mut table = Table::new(["a"].into_iter());
        for number in 0..1_000_000 {
            table.add(other(&format!("p{number}")), Counts::of_stream(10));
        }
        assert_eq!(table.prefixes.len(), PREFIXES + 1);
        let rest = 1_000_000 - PREFIXES as u64;
        assert_eq!(table.rest().streams(), rest);
        assert_eq!(table.rest().bytes(), 10 * rest);
        assert_eq!(table.of("p0").map(Counts::streams), Some(1));
        assert_eq!(table.of("p999999"), None);
        assert_eq!(table.of("a"), Some(Counts::default()));
    }

    #[test]
    fn there_is_room_for_the_rest_when_enough_prefixes_have_gone() {
        let mut table = Table::new(std::iter::empty());
        table.most = 32;
        let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
        let one = Counts::of_stream(1);
        for name in &names[..32] {
            table.add(other(name), one);
        }
        assert!(!table.has_room_for_rest());
        for name in &names[32..] {
            table.add(other(name), one);
        }
        assert_eq!(table.rest().streams(), 8);
        table.add(other(&names[0]), one.negated());
        assert!(!table.has_room_for_rest());
        table.add(other(&names[1]), one.negated());
        assert!(table.has_room_for_rest());
    }

    proptest! {
        /// Streams come and go. Prefixes that are counted by themselves have exact counts, the rest has
        /// exact sums, and an empty table is as small as a new one.
        #[test]
        fn counts_are_those_of_the_streams(
            most in 0..5_usize,
            steps in vec((0..8_usize, 0..100_u64, any::<bool>()), 0..100),
        ) {
            let mut table = Table::new(std::iter::empty());
            table.most = most;
            let names: Vec<String> = (0..8).map(|name| format!("p{name}")).collect();
            let mut streams: HashMap<usize, Vec<u64>> = HashMap::new();
            for (name, bytes, comes) in steps {
                let of = streams.entry(name).or_default();
                if comes {
                    of.push(bytes);
                    table.add(other(&names[name]), Counts::of_stream(bytes));
                } else if let Some(bytes) = of.pop() {
                    table.add(other(&names[name]), Counts::of_stream(bytes).negated());
                }
                let counts = |of: &[u64]| (of.len() as u64, of.iter().sum::<u64>());
                let mut rest = (0, 0);
                for (name, of) in &streams {
                    match table.of(&names[*name]) {
                        Some(found) => {
                            prop_assert_eq!((found.streams(), found.bytes()), counts(of));
                        }
                        None => {
                            let (streams, bytes) = counts(of);
                            rest = (rest.0 + streams, rest.1 + bytes);
                        }
                    }
                }
                prop_assert_eq!((table.rest().streams(), table.rest().bytes()), rest);
                prop_assert!(table.prefixes.len() <= most);
            }
            for (name, of) in streams {
                for bytes in of {
                    table.add(other(&names[name]), Counts::of_stream(bytes).negated());
                }
            }
            prop_assert!(table.prefixes.is_empty() && table.rest().is_zero());
        }
    }
}
