//! Counts and latencies of the actors' requests.

use crate::histogram::Histogram;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// A timed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timed {
    Append,
    Read,
    /// From the due time of an append to the event at an SSE reader.
    Delivery,
}

/// All timed operations, in the order of their columns.
pub(super) const TIMED: [(Timed, &str); 3] = [
    (Timed::Append, "append"),
    (Timed::Read, "read"),
    (Timed::Delivery, "delivery"),
];

/// Latencies of all operations in an interval, in the order of [`TIMED`].
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

    /// Adds the latencies of another interval.
    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.add(theirs);
        }
    }
}

/// Number of completed and failed operations by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) done: BTreeMap<&'static str, u64>,
    pub(super) failed: BTreeMap<String, u64>,
}

/// Shared record of the actors' operations.
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

    pub(super) fn done(&self, name: &'static str) {
        *self.counts.borrow_mut().done.entry(name).or_default() += 1;
    }

    pub(super) fn failed(&self, name: String) {
        *self.counts.borrow_mut().failed.entry(name).or_default() += 1;
    }

    /// Returns the latencies recorded since the last call.
    pub(super) fn take_latencies(&self) -> Latencies {
        self.latencies.take()
    }

    /// Counts since the start.
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
