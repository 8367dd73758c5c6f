//! The prefix of every record that is changed by compare-and-swap: format, state and version.

use super::codec::{Reader, Writer};
use super::{Corrupt, FORMAT};
use bytes::{Buf, Bytes};

/// Progress of a record's creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The record exists.
    Confirmed,
    /// The creator has not yet confirmed that it is the only one.
    Unconfirmed,
    /// The creator gave up, or another instance took over. The record behind the next gate counts.
    Void,
}

/// The parsed parts of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The state of the record's creation.
    pub state: State,
    /// Raised by every swap, so that every swap changes the bytes.
    pub version: u64,
    /// The record itself; empty when void.
    pub body: Bytes,
}

/// Most bytes that an envelope adds to its body.
pub(super) const MOST_BYTES: usize = 12;

/// Writes the bytes before the body.
pub(super) fn begin(writer: &mut Writer, state: State, version: u64) {
    writer.byte(FORMAT);
    writer.byte(match state {
        State::Confirmed => 0,
        State::Unconfirmed => 1,
        State::Void => 2,
    });
    writer.varint(version);
}

/// Reads the bytes before the body: state and version.
pub(super) fn open(reader: &mut Reader<'_>) -> Result<(State, u64), Corrupt> {
    if reader.byte()? != FORMAT {
        return Err(Corrupt);
    }
    let state = match reader.byte()? {
        0 => State::Confirmed,
        1 => State::Unconfirmed,
        2 => State::Void,
        _ => return Err(Corrupt),
    };
    Ok((state, reader.varint()?))
}

impl Envelope {
    /// Encodes the envelope with its body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.body.len().saturating_add(MOST_BYTES));
        begin(&mut writer, self.state, self.version);
        writer.raw(&self.body);
        writer.finish()
    }

    /// Decodes an envelope.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also for an unknown version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::take(bytes.to_vec())
    }

    /// Decodes an envelope without copying: the body keeps the buffer of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn take(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(&bytes);
        let (state, version) = open(&mut reader)?;
        let start = bytes.len().saturating_sub(reader.rest().len());
        // The body is not moved to the front: most of it is the inline tail, which the caller
        // copies.
        let mut body = Bytes::from(bytes);
        body.advance(start.min(body.len()));
        Ok(Self {
            state,
            version,
            body,
        })
    }
}
