//! The few facts of a head that a host counts, read without decoding the rest of the record.

use super::codec::Reader;
use super::envelope::{self, State};
use super::head::{Shared, read_leaf, read_lease_and_reason, read_mark};
use super::{Corrupt, registry};
use crate::stream::Reason;

/// Facts of a live stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The stream's name.
    pub name: &'a str,
    /// Number of bytes in the stream, for a fork without the bytes that it shares.
    pub bytes: u64,
    /// Leaf of the name registry that holds the name; none if no leaf does.
    pub leaf: Option<u32>,
}

impl<'a> Summary<'a> {
    /// Reads the value of a stream's key. Returns `None` for a tombstone and for a head that is not
    /// confirmed.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also for an unknown kind or version.
    pub fn read(value: &'a [u8]) -> Result<Option<Self>, Corrupt> {
        let mut reader = Reader::new(value);
        let (state, _) = envelope::open(&mut reader)?;
        if state != State::Confirmed {
            return Ok(None);
        }
        match reader.byte()? {
            0 => {}
            kind @ (2 | 4 | 5 | 7) => {
                Shared::read(&mut reader, kind)?;
            }
            1 | 3 | 6 => return Ok(None),
            _ => return Err(Corrupt),
        }
        let name = reader.str()?;
        let _incarnation: [u8; 16] = reader.array()?;
        let _born = reader.varint()?;
        skip(&mut reader, |reader| {
            reader.fixed()?;
            reader.varint().map(drop)
        })?;
        let _content_type = reader.text()?;
        let _created_ms = reader.varint()?;
        match reader.byte()? {
            0 => {}
            1 | 2 => {
                reader.varint()?;
            }
            _ => return Err(Corrupt),
        }
        let _touched_ms = reader.varint()?;
        reader.option(|closed| closed.option(read_mark))?;
        reader.option(Reader::text)?;
        skip(&mut reader, |producer| {
            read_mark(producer)?;
            producer.varint().map(drop)
        })?;
        Ok(Some(Self {
            name,
            bytes: reader.varint()?,
            leaf: reader.option(read_leaf)?,
        }))
    }
}

/// The part of a head about the lease of its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenure {
    /// No writer has a lease.
    Free,
    /// A writer has a lease.
    Leased,
    /// The stream is closed because a lease lapsed.
    Lapsed,
}

impl Tenure {
    /// Reads the value of a stream's key. A stream that does not exist is free.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also for an unknown version.
    pub fn read(value: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(value);
        let (state, _) = envelope::open(&mut reader)?;
        if state != State::Confirmed {
            return Ok(Self::Free);
        }
        let kind = reader.byte()?;
        let (lease, reason) = read_lease_and_reason(&mut reader, kind)?;
        Ok(match lease {
            Some(_) => Self::Leased,
            None if reason.is_some_and(|reason| reason.as_str() == Reason::LEASE_EXPIRED) => {
                Self::Lapsed
            }
            None => Self::Free,
        })
    }
}

/// Reads a list without keeping it.
fn skip(
    reader: &mut Reader<'_>,
    mut item: impl FnMut(&mut Reader<'_>) -> Result<(), Corrupt>,
) -> Result<(), Corrupt> {
    for _ in 0..reader.count()? {
        item(reader)?;
    }
    Ok(())
}

/// Reads the value of a registry leaf's key. Returns `None` for a leaf that is not confirmed.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn read_registry(value: &[u8]) -> Result<Option<registry::Leaf>, Corrupt> {
    let mut reader = Reader::new(value);
    match envelope::open(&mut reader)? {
        (State::Confirmed, _) => registry::decode(reader.rest()).map(Some),
        (State::Unconfirmed | State::Void, _) => Ok(None),
    }
}
