//! The report of a salvage.

use crate::check::report::describe;
use crate::store::log;
use durable_streams_edge::protocol::offset;
use durable_streams_edge::stream::Position;
use std::fmt;

/// Range of a stream, from one offset up to another.
pub(super) type Stretch = (Position, Position);

/// Damage that a salvage found, and counts of the copied records.
#[derive(Debug, Default)]
pub struct Salvaged {
    segments: u64,
    records: u64,
    damages: Vec<String>,
    cut_off: bool,
    /// Whether keys of damaged records are unknown.
    pub(super) keys_unknown: bool,
    pub(super) streams: u64,
    pub(super) bytes: u64,
    pub(super) tombstones: u64,
    pub(super) others: u64,
    damaged: Vec<(String, Vec<Stretch>)>,
    lost_streams: Vec<String>,
    lost_keys: Vec<String>,
}

impl Salvaged {
    pub(super) fn new(log: &log::Report) -> Self {
        let damages: Vec<&log::Damage> = log.damages.iter().collect();
        let whole = damages.iter().filter(|damage| !damage.unfinished);
        let descriptions: Vec<String> = whole.map(|damage| describe(damage)).collect();
        Self {
            segments: log.segments,
            records: log.records,
            keys_unknown: !descriptions.is_empty(),
            damages: descriptions,
            cut_off: damages.iter().any(|damage| damage.unfinished),
            ..Self::default()
        }
    }

    /// Notes that a stream was copied without these ranges.
    pub(super) fn damaged(&mut self, name: &str, stretches: Vec<Stretch>) {
        self.damaged.push((name.to_owned(), stretches));
    }

    /// Notes that a stream was not copied.
    pub(super) fn lost_stream(&mut self, name: &str) {
        self.lost_streams.push(name.to_owned());
    }

    /// Notes that another key was not copied.
    pub(super) fn lost_key(&mut self, key: &str, why: impl fmt::Display) {
        self.lost_keys.push(format!("{key}: {why}"));
    }

    /// Whether nothing was damaged or missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.damages.is_empty()
            && self.damaged.is_empty()
            && self.lost_streams.is_empty()
            && self.lost_keys.is_empty()
    }

    /// Names of streams that were copied in part.
    pub fn damaged_streams(&self) -> impl Iterator<Item = &str> {
        self.damaged.iter().map(|(name, _)| name.as_str())
    }

    /// Names of streams that were not copied. A hash replaces a name that is lost as well.
    pub fn lost_streams(&self) -> impl Iterator<Item = &str> {
        self.lost_streams.iter().map(String::as_str)
    }
}

impl fmt::Display for Salvaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segments,
            records,
            streams,
            bytes,
            tombstones,
            others,
            ..
        } = self;
        writeln!(f, "log: {segments} segments, {records} records")?;
        writeln!(
            f,
            "copied: {streams} streams with {bytes} bytes, {} of them with damaged parts; \
             {tombstones} tombstones; {others} other records",
            self.damaged.len()
        )?;
        if self.cut_off {
            writeln!(
                f,
                "an unfinished write at the end, which was never acknowledged, was left out"
            )?;
        }
        for damage in &self.damages {
            writeln!(f, "DAMAGE {damage}")?;
        }
        for (name, stretches) in &self.damaged {
            for (from, to) in stretches {
                let (from, to) = (offset::format(*from), offset::format(*to));
                writeln!(f, "DAMAGED stream {name}: from offset {from} up to {to}")?;
            }
        }
        for name in &self.lost_streams {
            writeln!(f, "LOST stream {name}: its head is lost")?;
        }
        for key in &self.lost_keys {
            writeln!(f, "LOST key {key}")?;
        }
        if self.keys_unknown {
            writeln!(
                f,
                "Any key may have lost its newest value: a stream may have lost its last appends, \
                 its close or its deletion; a stream that the registry does not name may be \
                 missing"
            )?;
        }
        let verdict = match self.is_whole() {
            true => "whole: nothing is damaged or missing",
            false => "NOT WHOLE: all intact streams and records were copied",
        };
        write!(f, "{verdict}")
    }
}
