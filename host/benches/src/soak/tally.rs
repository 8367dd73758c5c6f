//! What the actors did, and how long it took.

use crate::histogram::Histogram;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timed {
    Append,
    Read,
    /// From an append that is due to the event at an SSE reader.
    Delivery,
}

/// Everything that is timed, in the order of its columns.
pub(super) const TIMED: [(Timed, &str); 3] = [
    (Timed::Append, "append"),
    (Timed::Read, "read"),
    (Timed::Delivery, "delivery"),
];

/// How long everything took in some time, in the order of [`TIMED`].
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies([Histogram; TIMED.len()]);

impl Latencies {
    pub(super) fn of(&self, timed: Timed) -> &Histogram {
        let [append, read, delivery] = &self.0;
        match timed {
            Timed::Append => append,
            Timed::Read => read,
            Timed::Delivery => delivery,
        }
    }

    fn of_mut(&mut self, timed: Timed) -> &mut Histogram {
        let [append, read, delivery] = &mut self.0;
        match timed {
            Timed::Append => append,
            Timed::Read => read,
            Timed::Delivery => delivery,
        }
    }

    /// Adds what another time saw.
    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.add(theirs);
        }
    }
}

/// How often something was done, or went wrong, by what it is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) done: BTreeMap<&'static str, u64>,
    pub(super) failed: BTreeMap<String, u64>,
}

/// Where the actors write to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    latencies: RefCell<Latencies>,
    counts: RefCell<Counts>,
    streams: Cell<u64>,
}

impl Tally {
    pub(super) fn timed(&self, timed: Timed, latency: Duration) {
        self.latencies.borrow_mut().of_mut(timed).record(latency);
    }

    pub(super) fn done(&self, what: &'static str) {
        *self.counts.borrow_mut().done.entry(what).or_default() += 1;
    }

    pub(super) fn failed(&self, what: String) {
        *self.counts.borrow_mut().failed.entry(what).or_default() += 1;
    }

    /// What was timed since this was asked last.
    pub(super) fn take_latencies(&self) -> Latencies {
        self.latencies.take()
    }

    /// All that was done so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// A number that no other stream of this run has.
    pub(super) fn next_stream(&self) -> usize {
        let number = self.streams.get();
        self.streams.set(number + 1);
        usize::try_from(number).unwrap_or(usize::MAX)
    }
}
