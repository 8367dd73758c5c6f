//! To-do shards: work that was begun, so that somebody ends it.

use super::Corrupt;
use super::NameHash;
use super::codec::{Reader, Writer};
use super::head::read_leaf;
use crate::stream::Incarnation;

/// A piece of work of several steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A life of a stream ends: its chunks, its blocks and its name are to be removed.
    Collect {
        /// The stream.
        hash: NameHash,
        /// Its life.
        incarnation: Incarnation,
        /// The registry leaf that has its name.
        leaf: Option<u32>,
        /// When the entry was added, or last wanted, milliseconds since 1970.
        since_ms: u64,
    },
}

impl Entry {
    /// The life the work is about.
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        match self {
            Self::Collect { incarnation, .. } => *incarnation,
        }
    }

    /// When it was last wanted, milliseconds since 1970.
    #[must_use]
    pub const fn since_ms(&self) -> u64 {
        match self {
            Self::Collect { since_ms, .. } => *since_ms,
        }
    }
}

/// A shard's bytes, inside its envelope.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.many(entries.iter(), |writer, entry| match entry {
        Entry::Collect {
            hash,
            incarnation,
            leaf,
            since_ms,
        } => {
            writer.byte(1);
            writer.raw(hash.bytes());
            writer.raw(&incarnation.0);
            writer.option(*leaf, |writer, leaf| writer.varint(u64::from(leaf)));
            writer.varint(*since_ms);
        }
    });
    writer.finish()
}

/// The entries with these bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, Corrupt> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let entries = reader.many(|reader| match reader.byte()? {
        1 => Ok(Entry::Collect {
            hash: NameHash::from_bytes(reader.array()?),
            incarnation: Incarnation(reader.array()?),
            leaf: reader.option(read_leaf)?,
            since_ms: reader.varint()?,
        }),
        _ => Err(Corrupt),
    })?;
    reader.end().map(|()| entries)
}
