//! Measured lengths of steps.
//!
//! The number of streams that a subscription is linked to is known to the component alone. The host
//! counts the calls of the store instead, and expects as many of the next step of the same kind.

use crate::limits::LONG_CALLS;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Under a key of its own, so that no client can choose which kinds share a place.
#[cfg(not(test))]
type Hasher = std::hash::RandomState;
/// The same in each run of the tests.
#[cfg(test)]
type Hasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

/// Kinds of long steps that are remembered. Of two that share a place it is the latest.
const PLACES: usize = 4096;
/// A step that is shorter than expected takes this part off the expectation: a worker that is told
/// that the subscription is claimed costs little, and the next one may cost much.
const FADES: u32 = 16;

/// The expected calls of each kind of steps that was long.
#[derive(Debug)]
pub(super) struct Costs {
    /// In each place the [`Expected`] of one kind.
    places: Box<[AtomicU64]>,
    hasher: Hasher,
}

/// A kind of steps.
#[derive(Debug)]
pub(super) struct Cost {
    costs: Arc<Costs>,
    hash: u64,
}

/// The calls that are expected of a kind, and a part of its hash.
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

    /// The expectation after a step of this kind. Most steps are short and of a kind that never was
    /// long: they leave the place as it is, in the caches of all cores.
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
    /// The kind of this name.
    pub(super) fn of(self: &Arc<Self>, name: impl Hash) -> Cost {
        self.at(self.hasher.hash_one(name))
    }

    /// The kind of this hash, which was made under a key.
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

    /// Notes the calls of a step.
    pub(super) fn note(&self, calls: u32) {
        let Some(place) = self.place() else { return };
        // Of two that note at once one may be forgotten: the next step notes again.
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
