//! Report of a check.

use crate::store::log::{self, Damage, Fault};
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// Most problems listed one by one; the report only counts the rest.
const MOST_LISTED: usize = 50;

/// Number of records of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Streams.
    pub streams: u64,
    /// Bytes in the streams.
    pub bytes: u64,
    /// Forks among the streams, and deleted forks that their source still counts.
    pub forks: u64,
    /// Names of deleted streams.
    pub tombstones: u64,
    /// Chunks.
    pub chunks: u64,
    /// Index blocks.
    pub blocks: u64,
    /// Ended incarnations with chunks still to be removed.
    pub debts: u64,
    /// Pending work items.
    pub todos: u64,
    /// Names in the registry.
    pub names: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Gates.
    pub gates: u64,
    /// Unreferenced chunks and index blocks.
    pub left_over: u64,
    /// Bytes of the unreferenced chunks.
    pub left_over_bytes: u64,
}

/// Describes damage of a log in one line.
pub(super) fn describe(damage: &Damage) -> String {
    let (file, at) = (damage.file.display(), damage.offset);
    match damage.fault {
        Fault::Changed => {
            let key = damage.key.as_deref().unwrap_or("an unknown key");
            format!("{file}: damaged at byte {at}: {key}")
        }
        Fault::Missing => {
            format!("{file}: missing: any key may have lost its newest value")
        }
        Fault::Short => format!("{file}: everything after byte {at} is missing"),
        Fault::Unnamed => format!("{file}: newer than every segment that MANIFEST names"),
        Fault::Manifest => format!("{file}: missing or damaged"),
    }
}

/// Report of a check.
#[derive(Debug, Default)]
pub struct Report {
    log: log::Report,
    /// Number of records of each kind.
    pub counts: Counts,
    problems: Vec<String>,
    unlisted: u64,
    /// Whether unreferenced records were removed.
    pub removed: bool,
    /// The timeline of the store.
    pub timeline: u64,
    /// Time of the backup, milliseconds since 1970, if this is one.
    pub taken_ms: Option<u64>,
}

impl Report {
    pub(super) fn new(log: log::Report) -> Self {
        let mut report = Self::default();
        for damage in log.damages.iter().filter(|damage| !damage.unfinished) {
            report.problem(describe(damage));
        }
        report.log = log;
        report
    }

    pub(super) fn problem(&mut self, problem: String) {
        match self.problems.len() < MOST_LISTED {
            true => self.problems.push(problem),
            false => self.unlisted += 1,
        }
    }

    /// Whether a salvage recorded the value of this key as lost.
    pub(super) fn is_hole(&self, key: &str) -> bool {
        self.log.holes.contains(key)
    }

    /// Number of keys that a salvage recorded as lost.
    #[must_use]
    pub fn holes(&self) -> usize {
        self.log.holes.len()
    }

    /// Whether no acknowledged record is damaged or missing, except for holes.
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
        if let Some(taken_ms) = self.taken_ms {
            let taken = UNIX_EPOCH.checked_add(Duration::from_millis(taken_ms));
            let taken = httpdate::fmt_http_date(taken.unwrap_or(UNIX_EPOCH));
            writeln!(f, "backup: taken {taken}")?;
        }
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
                "an unfinished write at the end, which was never acknowledged, was cut off"
            )?;
        }
        let removed = match self.removed {
            _ if *left_over == 0 => "",
            true => ", removed",
            false if self.is_whole() => "; --fix removes it",
            false => "; kept, because something else is damaged or missing",
        };
        writeln!(
            f,
            "left over: {left_over} keys with {left_over_bytes} bytes{removed}"
        )?;
        writeln!(f, "timeline: {}", self.timeline)?;
        if self.holes() > 0 {
            writeln!(
                f,
                "holes: {} values that a salvage recorded as lost; reading them fails",
                self.holes()
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM {problem}")?;
        }
        if self.unlisted > 0 {
            writeln!(f, "PROBLEM and {} more", self.unlisted)?;
        }
        let verdict = match (self.is_whole(), self.holes()) {
            (true, 0) => "whole: nothing is damaged or missing",
            (true, _) => "whole, but for the holes",
            (false, _) => "NOT WHOLE",
        };
        write!(f, "{verdict}")
    }
}
