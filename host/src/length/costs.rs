//! Measured lengths of steps.
//!
//! Only the component knows the number of streams that a subscription is linked to. The host counts
//! store calls instead, and expects as many from the next step of the same kind.

use crate::limits::LONG_CALLS;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Hasher with a random key, so that no client can choose kinds that share a place.
#[cfg(not(test))]
type Hasher = std::hash::RandomState;
/// Hasher with the same result in each run of the tests.
#[cfg(test)]
type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Number of places for kinds of long steps. If two kinds share a place, the later one replaces the
/// earlier.
const PLACES: usize = 4096;
/// A step shorter than expected lowers the expectation by this fraction. A short step proves
/// little: it is cheap to refuse a worker a claimed subscription, and the next request may cost
/// much.
const FADES: u32 = 16;

/// Expected number of calls for each kind of step that was long.
#[derive(Debug)]
pub(super) struct Costs {
    /// One [`Expected`] of one kind in each place.
    places: Box<[AtomicU64]>,
    hasher: Hasher,
}

/// Kind of steps.
#[derive(Debug)]
pub(super) struct Cost {
    costs: Arc<Costs>,
    hash: u64,
}

/// Expected calls of a kind, and a part of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    kind: u32,
    calls: u32,
}

impl Expected {
    const fn unpack(packed: u64) -> Self {
        Self {
            kind: (packed >> 32) as u32,
            calls: packed as u32,
        }
    }

    const fn pack(self) -> u64 {
        (self.kind as u64) << 32 | self.calls as u64
    }

    /// Returns the expectation after a step of this kind. Most steps are short, and their kind was
    /// never long. They leave the place unchanged, in the caches of all cores.
    fn after(self, kind: u32, calls: u32) -> Self {
        let is_same = self.kind == kind;
        match is_same || calls >= LONG_CALLS {
            true => {
                let known = if is_same { self.calls } else { 0 };
                let faded = known.saturating_sub(known / FADES);
                let calls = calls.max(faded);
                Self { kind, calls }
            }
            false => self,
        }
    }
}

impl Default for Costs {
    fn default() -> Self {
        let places = std::iter::repeat_with(AtomicU64::default);
        Self {
            places: places.take(PLACES).collect(),
            hasher: Hasher::default(),
        }
    }
}

impl Costs {
    /// Returns the kind with this name.
    pub(super) fn of(self: &Arc<Self>, name: impl Hash) -> Cost {
        self.at(self.hasher.hash_one(name))
    }

    /// Returns the kind with this hash, computed with a secret key.
    pub(super) fn at(self: &Arc<Self>, hash: u64) -> Cost {
        Cost {
            costs: Arc::clone(self),
            hash,
        }
    }
}

impl Cost {
    fn place(&self) -> Option<&AtomicU64> {
        self.costs.places.get(self.hash as usize % PLACES)
    }

    const fn kind(&self) -> u32 {
        (self.hash >> 32) as u32
    }

    /// Whether a step is expected to be long.
    pub(super) fn is_long(&self) -> bool {
        let Some(place) = self.place() else {
            return false;
        };
        let expected = Expected::unpack(place.load(Ordering::Relaxed));
        expected.kind == self.kind() && expected.calls >= LONG_CALLS
    }

    /// Records the calls of a step.
    pub(super) fn note(&self, calls: u32) {
        let Some(place) = self.place() else { return };
        // Of two concurrent notes one may be lost: the next step notes its calls again.
        let expected = Expected::unpack(place.load(Ordering::Relaxed));
        let after = expected.after(self.kind(), calls);
        if after != expected {
            place.store(after.pack(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kinds that share a place.
    fn sharing() -> (Cost, Cost) {
        let costs = Arc::new(Costs::default());
        (costs.at(1 << 32 | 7), costs.at(2 << 32 | 7))
    }

    #[test]
    fn short_steps_of_another_kind_do_not_fade_a_long_one() {
        let (long, short) = sharing();
        long.note(LONG_CALLS);
        (0..1000).for_each(|_| short.note(3));
        assert!(long.is_long());
        assert!(!short.is_long());
    }

    #[test]
    fn of_two_long_kinds_in_one_place_the_latest_is_known() {
        let (first, second) = sharing();
        first.note(u32::MAX);
        second.note(LONG_CALLS);
        assert!(second.is_long());
        assert!(!first.is_long());
    }
}
