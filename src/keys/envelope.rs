//! What every record that is changed by compare-and-swap begins with: format, state, version.

use super::codec::{Reader, Writer};
use super::{Corrupt, FORMAT};
use bytes::{Buf, Bytes};

/// How far the creation of a record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there.
    Confirmed,
    /// Its creator has not yet made sure that it is the only one.
    Unconfirmed,
    /// Its creator gave up, or was given up; the next gate counts.
    Void,
}

/// A record's bytes, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// How far its creation came.
    pub state: State,
    /// Raised by every swap, so that no swap leaves the bytes as they were.
    pub version: u64,
    /// The record itself; empty when void.
    pub body: Bytes,
}

/// Most bytes that an envelope adds to its body.
pub(super) const MOST_BYTES: usize = 12;

/// Writes what comes before the body.
pub(super) fn begin(writer: &mut Writer, state: State, version: u64) {
    writer.byte(FORMAT);
    writer.byte(match state {
        State::Confirmed => 0,
        State::Unconfirmed => 1,
        State::Void => 2,
    });
    writer.varint(version);
}

impl Envelope {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.body.len().saturating_add(MOST_BYTES));
        begin(&mut writer, self.state, self.version);
        writer.raw(&self.body);
        writer.finish()
    }

    /// The record with these bytes.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also of a version that is not known.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::take(bytes.to_vec())
    }

    /// The same, in the buffer of the bytes.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn take(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(&bytes);
        if reader.byte()? != FORMAT {
            return Err(Corrupt);
        }
        let state = match reader.byte()? {
            0 => State::Confirmed,
            1 => State::Unconfirmed,
            2 => State::Void,
            _ => return Err(Corrupt),
        };
        let version = reader.varint()?;
        let start = bytes.len().saturating_sub(reader.rest().len());
        // Not moved to the front: most of it is the inline tail, which is copied from here.
        let mut body = Bytes::from(bytes);
        body.advance(start.min(body.len()));
        Ok(Self {
            state,
            version,
            body,
        })
    }
}
