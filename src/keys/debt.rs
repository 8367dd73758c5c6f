//! Debts: chunks and blocks that an ended life of a stream still owns, while they are removed.

use super::codec::{Reader, Writer};
use super::head::{read_owed, write_owed};
use super::{Corrupt, FORMAT};
use crate::stream::Owed;

/// The part of a debt that is not removed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// The chunks and blocks that are left.
    pub owed: Owed,
    /// Whether `owed.chunks` is the rest of the chunks in the first owed block.
    pub in_block: bool,
}

/// Encodes a debt; the incarnation is in the key.
#[must_use]
pub fn encode(debt: &Debt) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.byte(FORMAT);
    writer.byte(u8::from(debt.in_block));
    write_owed(&mut writer, &debt.owed);
    writer.finish()
}

/// Decodes a debt.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn decode(bytes: &[u8]) -> Result<Debt, Corrupt> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Corrupt);
    }
    let in_block = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return Err(Corrupt),
    };
    let owed = read_owed(&mut reader)?;
    reader.end().map(|()| Debt { owed, in_block })
}
