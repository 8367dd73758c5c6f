//! What a check found.

use crate::store::log::{self, Damage, Fault};
use std::fmt;

/// Problems that are told one by one; of the others only the number is.
const TOLD: usize = 50;

/// How much there is of what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams.
    pub streams: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Forks among them, and deleted ones that their source still counts.
    pub forks: u64,
    /// Names whose stream is gone.
    pub tombstones: u64,
    /// Chunks.
    pub chunks: u64,
    /// Index blocks.
    pub blocks: u64,
    /// Ended lives whose chunks are being removed.
    pub debts: u64,
    /// Pieces of work to be done.
    pub todos: u64,
    /// Names in the registry.
    pub names: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Gates.
    pub gates: u64,
    /// Chunks and index blocks that nothing leads to.
    pub left_over: u64,
    /// Bytes of these chunks.
    pub left_over_bytes: u64,
}

/// Damage of a log, in one line.
pub(super) fn told(damage: &Damage) -> String {
    let (file, at) = (damage.file.display(), damage.offset);
    match damage.fault {
        Fault::Changed => {
            let key = damage.key.as_deref().unwrap_or("an unknown key");
            format!("{file}: damaged at byte {at}: {key}")
        }
        Fault::Missing => {
            format!("{file}: missing: any key may have lost its newest value")
        }
        Fault::Short => format!("{file}: all after byte {at} is missing"),
        Fault::Unnamed => format!("{file}: newer than all that MANIFEST names"),
        Fault::Manifest => format!("{file}: missing or damaged"),
    }
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    log: log::Report,
    /// How much there is of what.
    pub counts: Counts,
    problems: Vec<String>,
    untold: u64,
    /// What nothing leads to was removed.
    pub removed: bool,
    /// The timeline of the store.
    pub timeline: u64,
}

impl Report {
    pub(super) fn new(log: log::Report) -> Self {
        let mut report = Self::default();
        for damage in log.damages.iter().filter(|damage| !damage.unfinished) {
            report.problem(told(damage));
        }
        report.log = log;
        report
    }

    pub(super) fn problem(&mut self, problem: String) {
        match self.problems.len() < TOLD {
            true => self.problems.push(problem),
            false => self.untold += 1,
        }
    }

    /// Whether a salvage has written that the value of this key is lost.
    pub(super) fn is_hole(&self, key: &str) -> bool {
        self.log.holes.contains(key)
    }

    /// Keys of values that a salvage found lost.
    #[must_use]
    pub fn holes(&self) -> usize {
        self.log.holes.len()
    }

    /// Whether nothing that was acknowledged is damaged or missing, but for holes.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            streams,
            bytes,
            forks,
            tombstones,
            chunks,
            blocks,
            debts,
            todos,
            names,
            subscriptions,
            gates,
            left_over,
            left_over_bytes,
        } = &self.counts;
        let log::Report {
            segments,
            records,
            bytes: disk,
            ..
        } = &self.log;
        writeln!(
            f,
            "log: {segments} segments, {records} records, {disk} bytes"
        )?;
        writeln!(
            f,
            "streams: {streams} with {bytes} bytes; {forks} forks; {tombstones} tombstones"
        )?;
        writeln!(f, "chunks: {chunks}; index blocks: {blocks}")?;
        writeln!(
            f,
            "registry: {names} names; to do: {todos}; debts: {debts}; gates: {gates}; \
             subscriptions: {subscriptions}"
        )?;
        if self.log.damages.iter().any(|damage| damage.unfinished) {
            writeln!(
                f,
                "an unfinished write at the end, which no one was told of, was cut off"
            )?;
        }
        let removed = match self.removed {
            _ if *left_over == 0 => "",
            true => ", removed",
            false if self.is_whole() => "; --fix removes it",
            false => "; kept, since something else is damaged or missing",
        };
        writeln!(
            f,
            "left over: {left_over} keys with {left_over_bytes} bytes{removed}"
        )?;
        writeln!(f, "timeline: {}", self.timeline)?;
        if self.holes() > 0 {
            writeln!(
                f,
                "holes: {} values that a salvage found lost; reading them fails",
                self.holes()
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM {problem}")?;
        }
        if self.untold > 0 {
            writeln!(f, "PROBLEM and {} more", self.untold)?;
        }
        let verdict = match (self.is_whole(), self.holes()) {
            (true, 0) => "whole: nothing is damaged or missing",
            (true, _) => "whole, but for the holes",
            (false, _) => "NOT WHOLE",
        };
        write!(f, "{verdict}")
    }
}
