//! Index blocks: lists of a stream's older segments.

use super::codec::{Reader, Writer};
use super::fork::{read_spans, write_spans};
use super::head::{read_segment, write_segment};
use super::{Corrupt, FORMAT};
use crate::stream::Block;

/// The version of a block that names chunks of another life.
const SHARED: u8 = 2;

/// Encodes a block; its number is in the key.
#[must_use]
pub fn encode(block: &Block) -> Vec<u8> {
    let mut writer = Writer::default();
    match block.owners.is_empty() {
        true => writer.byte(FORMAT),
        false => {
            writer.byte(SHARED);
            write_spans(&mut writer, &block.owners);
        }
    }
    writer.varint(block.first);
    writer.many(block.segments.iter(), write_segment);
    writer.finish()
}

/// Decodes the block `number`.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn decode(bytes: &[u8], number: u64) -> Result<Block, Corrupt> {
    let mut reader = Reader::new(bytes);
    let owners = match reader.byte()? {
        FORMAT => Vec::new(),
        SHARED => Some(read_spans(&mut reader)?)
            .filter(|owners| !owners.is_empty())
            .ok_or(Corrupt)?,
        _ => return Err(Corrupt),
    };
    let first = reader.varint()?;
    let segments = reader.many(read_segment)?;
    reader.end().map(|()| Block {
        number,
        first,
        segments,
        owners,
    })
}
