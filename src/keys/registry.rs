//! Leaves of the name registry: the list of all streams.
//!
//! Leaf 0 of a shard also holds the number of leaves in the shard, and the leaf that takes new
//! names.

use super::Corrupt;
use super::codec::{Reader, Writer};
use crate::stream::Incarnation;

/// A name, with one life that was at least begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The stream's name.
    pub name: String,
    /// The life that the entry is for.
    pub incarnation: Incarnation,
    /// When the entry was made, milliseconds since 1970.
    pub since_ms: u64,
    /// When to check whether the stream has expired, milliseconds since 1970; `None` if it never
    /// expires.
    pub due_ms: Option<u64>,
}

/// A leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Number of leaves in the shard; kept in leaf 0 only.
    pub leaves: u32,
    /// The leaf that takes new names; kept in leaf 0 only.
    pub open: u32,
    /// The entries of the leaf.
    pub entries: Vec<Entry>,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            leaves: 1,
            open: 0,
            entries: Vec::new(),
        }
    }
}

/// Encodes a leaf, without the envelope.
#[must_use]
pub fn encode(leaf: &Leaf) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.varint(u64::from(leaf.leaves));
    writer.varint(u64::from(leaf.open));
    writer.many(leaf.entries.iter(), |writer, entry| {
        writer.text(entry.name.as_bytes());
        writer.raw(&entry.incarnation.0);
        writer.varint(entry.since_ms);
        writer.option(entry.due_ms, Writer::varint);
    });
    writer.finish()
}

/// Decodes a leaf.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn decode(bytes: &[u8]) -> Result<Leaf, Corrupt> {
    if bytes.is_empty() {
        return Ok(Leaf::default());
    }
    let mut reader = Reader::new(bytes);
    let small = |value: u64| u32::try_from(value).map_err(|_| Corrupt);
    let leaves = small(reader.varint()?)?;
    let open = small(reader.varint()?)?;
    let entries = reader.many(|reader| {
        Ok(Entry {
            name: reader.string()?,
            incarnation: Incarnation(reader.array()?),
            since_ms: reader.varint()?,
            due_ms: reader.option(Reader::varint)?,
        })
    })?;
    reader.end().map(|()| Leaf {
        leaves,
        open,
        entries,
    })
}
