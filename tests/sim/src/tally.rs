//! Sums over many runs.

use crate::check::Violation;
use crate::faults::Injected;
use crate::planted::Planted;
use crate::run::{RunResult, run};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Sums over runs.
#[derive(Debug, Default)]
pub struct Tally {
    seeds: u64,
    failed: u64,
    operations: u64,
    events: u64,
    waits: u64,
    virtual_ms: u64,
    injected: Injected,
    reached: BTreeMap<&'static str, u64>,
    violations: u64,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, outcome: &RunResult) {
        self.seeds += 1;
        self.failed += u64::from(!outcome.violations.is_empty());
        self.operations += outcome.operations;
        self.events += outcome.events;
        self.waits += outcome.waits;
        self.virtual_ms += outcome.virtual_ms;
        self.injected += outcome.injected;
        for (name, count) in &outcome.reached {
            *self.reached.entry(name).or_default() += count;
        }
        self.violations += outcome.violations.len() as u64;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.virtual_ms / 3_600_000;
        writeln!(f, "{} seeds, {hours} hours of virtual time", self.seeds)?;
        writeln!(f, "{} operations on the store", self.operations)?;
        writeln!(
            f,
            "{} events checked, {} waits of readers",
            self.events, self.waits
        )?;
        writeln!(f, "{} faults injected:", self.injected.total())?;
        write!(f, "{}", self.injected)?;
        writeln!(f, "reached:")?;
        for (name, count) in &self.reached {
            writeln!(f, "  {name:<28} {count:>9}")?;
        }
        write!(
            f,
            "{} violations, {} seeds failed",
            self.violations, self.failed
        )
    }
}

/// The first of `seeds` seeds with violations under a planted bug, and its first violation.
#[must_use]
pub fn catch(planted: Planted, seeds: u64) -> Option<(u64, Violation)> {
    (0..seeds).find_map(|seed| {
        let outcome = run(seed, Some(planted), false);
        let first = outcome.violations.into_iter().next()?;
        Some((seed, first))
    })
}

/// Runs seeds on all processors, and reports each in the order of the seeds.
pub fn run_many(from: u64, seeds: u64, mut report: impl FnMut(u64, RunResult)) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(from);
    let end = from.saturating_add(seeds);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || sender.send((seed, run(seed, None, false))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = from;
        for (seed, outcome) in receiver {
            early.insert(seed, outcome);
            while let Some(outcome) = early.remove(&due) {
                report(due, outcome);
                due += 1;
            }
        }
    });
}
