//! Debts: what a life of a stream left in the store, while it is being removed.

use super::codec::{Reader, Writer};
use super::head::{read_owed, write_owed};
use super::{Corrupt, FORMAT};
use crate::stream::Owed;

/// What is left to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// The rest.
    pub owed: Owed,
    /// Whether `owed.chunks` are what is left of those that its first block names.
    pub in_block: bool,
}

/// A debt's bytes; the incarnation is in the key.
#[must_use]
pub fn encode(debt: &Debt) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.byte(FORMAT);
    writer.byte(u8::from(debt.in_block));
    write_owed(&mut writer, &debt.owed);
    writer.finish()
}

/// The debt with these bytes.
///
/// # Errors
///
/// [`Corrupt`], also of a version that is not known.
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
