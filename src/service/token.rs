//! What is needed between the steps of a read. Opaque to drivers; nothing of the connection and no
//! versions are in it, so readers at one place of a stream hold equal tokens.

use crate::keys::Corrupt;
use crate::keys::codec::{Reader, Writer};
use crate::stream::{Head, Incarnation, Position};

/// The state of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The stream's name.
    pub(super) name: String,
    /// The life it reads.
    pub(super) incarnation: Incarnation,
    /// Up to where it was sent.
    pub(super) at: Position,
    pub(super) mode: TokenMode,
}

/// How the read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenMode {
    /// A page that was announced up to here is sent.
    Page { to: Position },
    /// A long-poll waits. `from_now`: it asked for no place, so its answer is of this moment only,
    /// and nothing that a cache may keep.
    LongPoll { from_now: bool },
    /// An SSE response goes on.
    Sse,
    /// An SSE response goes on within an event that ends here.
    SseEvent { to: Position },
}

impl Token {
    /// A read of `head` that was sent up to `at`.
    pub(super) fn of(head: &Head, at: Position, mode: TokenMode) -> Self {
        Self {
            name: head.name.clone(),
            incarnation: head.incarnation,
            at,
            mode,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.name.len().saturating_add(48));
        let (mode, to) = match self.mode {
            TokenMode::Page { to } => (0, Some(to)),
            TokenMode::LongPoll { from_now: false } => (1, None),
            TokenMode::LongPoll { from_now: true } => (4, None),
            TokenMode::Sse => (2, None),
            TokenMode::SseEvent { to } => (3, Some(to)),
        };
        writer.byte(mode);
        writer.text(self.name.as_bytes());
        writer.raw(&self.incarnation.0);
        write_position(&mut writer, self.at);
        if let Some(to) = to {
            write_position(&mut writer, to);
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let mode = reader.byte()?;
        let name = reader.string()?;
        let incarnation = Incarnation(reader.array()?);
        let at = read_position(&mut reader)?;
        let mode = match mode {
            0 => TokenMode::Page {
                to: read_position(&mut reader)?,
            },
            1 => TokenMode::LongPoll { from_now: false },
            4 => TokenMode::LongPoll { from_now: true },
            2 => TokenMode::Sse,
            3 => TokenMode::SseEvent {
                to: read_position(&mut reader)?,
            },
            _ => return Err(Corrupt),
        };
        reader.end().map(|()| Self {
            name,
            incarnation,
            at,
            mode,
        })
    }
}

fn write_position(writer: &mut Writer, position: Position) {
    writer.varint(position.segment);
    writer.varint(position.byte);
}

fn read_position(reader: &mut Reader<'_>) -> Result<Position, Corrupt> {
    Ok(Position::new(reader.varint()?, reader.varint()?))
}
