//! To-do shards: entries for work in several steps, so that any instance can complete it.

use super::codec::{Reader, Writer};
use super::fork::{read_link, write_link};
use super::head::read_leaf;
use super::{Corrupt, NameHash};
use crate::stream::{Incarnation, Link};

/// A piece of work in several steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The end of a life of a stream. The work removes its chunks, blocks and name, and notifies
    /// its source.
    Collect {
        /// The stream.
        hash: NameHash,
        /// The life that ended.
        incarnation: Incarnation,
        /// The registry leaf that holds its name.
        leaf: Option<u32>,
        /// The stream that counts it as a fork.
        source: Option<Link>,
        /// When the entry was added, or last requested, milliseconds since 1970.
        since_ms: u64,
    },
    /// The beginning of a fork. Either its source counts it, or the fork is given up.
    Join {
        /// The fork.
        hash: NameHash,
        /// The life of the fork.
        incarnation: Incarnation,
        /// The stream it is forked from.
        source: Link,
        /// When the entry was added, milliseconds since 1970.
        since_ms: u64,
    },
    /// A subscription that is not idle: its lease may end, or its wake may need another delivery.
    Wake {
        /// The subscription, by the hash of its id.
        hash: NameHash,
        /// The life of the subscription: an id may be used again.
        life: u64,
        /// The number of entries that were added for the subscription, including this one. A
        /// removal of an earlier entry leaves this one in place.
        turn: u64,
        /// When the entry was added, milliseconds since 1970.
        since_ms: u64,
    },
}

impl Entry {
    /// The subject of the work: a life of a stream or of a subscription.
    fn subject(&self) -> ([u8; 20], Incarnation) {
        match self {
            Self::Collect { incarnation, .. } | Self::Join { incarnation, .. } => {
                ([0; 20], *incarnation)
            }
            Self::Wake { hash, life, .. } => {
                let life = u128::from(*life).to_be_bytes();
                (*hash.bytes(), Incarnation(life))
            }
        }
    }

    /// When the entry was last requested, milliseconds since 1970.
    #[must_use]
    pub const fn since_ms(&self) -> u64 {
        match self {
            Self::Collect { since_ms, .. }
            | Self::Join { since_ms, .. }
            | Self::Wake { since_ms, .. } => *since_ms,
        }
    }

    /// Returns this entry, completed with details of the same work that only `other` has.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut both = self.clone();
        if let (
            Self::Collect { leaf, source, .. },
            Self::Collect {
                leaf: other_leaf,
                source: other_source,
                ..
            },
        ) = (&mut both, other)
        {
            *leaf = leaf.or(*other_leaf);
            *source = source.or(*other_source);
        }
        both
    }

    /// Whether `other` is the same work and has all details of this entry, apart from the time.
    #[must_use]
    pub fn adds_nothing_to(&self, other: &Self) -> bool {
        let (mut mine, mut theirs) = (self.with(other), other.clone());
        for entry in [&mut mine, &mut theirs] {
            let (Self::Collect { since_ms, .. }
            | Self::Join { since_ms, .. }
            | Self::Wake { since_ms, .. }) = entry;
            *since_ms = 0;
        }
        mine == theirs
    }

    /// Whether both are the same work.
    #[must_use]
    pub fn is_same_work(&self, other: &Self) -> bool {
        let kinds = std::mem::discriminant(self) == std::mem::discriminant(other);
        kinds && self.subject() == other.subject()
    }
}

/// Encodes a shard, without the envelope.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.many(entries.iter(), write);
    writer.finish()
}

fn write(writer: &mut Writer, entry: &Entry) {
    match entry {
        Entry::Collect {
            hash,
            incarnation,
            leaf,
            source,
            since_ms,
        } => {
            writer.byte(if source.is_some() { 3 } else { 1 });
            writer.raw(hash.bytes());
            writer.raw(&incarnation.0);
            writer.option(*leaf, |writer, leaf| writer.varint(u64::from(leaf)));
            writer.varint(*since_ms);
            if let Some(source) = source {
                write_link(writer, *source);
            }
        }
        Entry::Join {
            hash,
            incarnation,
            source,
            since_ms,
        } => {
            writer.byte(2);
            writer.raw(hash.bytes());
            writer.raw(&incarnation.0);
            writer.varint(*since_ms);
            write_link(writer, *source);
        }
        Entry::Wake {
            hash,
            life,
            turn,
            since_ms,
        } => {
            writer.byte(4);
            writer.raw(hash.bytes());
            writer.fixed(*life);
            writer.varint(*turn);
            writer.varint(*since_ms);
        }
    }
}

/// Decodes the entries of a shard.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown kind or version.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, Corrupt> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let entries = reader.many(read)?;
    reader.end().map(|()| entries)
}

fn read(reader: &mut Reader<'_>) -> Result<Entry, Corrupt> {
    let kind = reader.byte()?;
    let hash = NameHash::from_bytes(reader.array()?);
    if kind == 4 {
        return Ok(Entry::Wake {
            hash,
            life: reader.fixed()?,
            turn: reader.varint()?,
            since_ms: reader.varint()?,
        });
    }
    let incarnation = Incarnation(reader.array()?);
    match kind {
        1 | 3 => Ok(Entry::Collect {
            hash,
            incarnation,
            leaf: reader.option(read_leaf)?,
            since_ms: reader.varint()?,
            source: match kind {
                3 => Some(read_link(reader)?),
                _ => None,
            },
        }),
        2 => Ok(Entry::Join {
            hash,
            incarnation,
            since_ms: reader.varint()?,
            source: read_link(reader)?,
        }),
        _ => Err(Corrupt),
    }
}
