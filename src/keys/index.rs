//! Index blocks: where the older segments of a stream are.

use super::codec::{Reader, Writer};
use super::head::{read_segment, write_segment};
use super::{Corrupt, FORMAT};
use crate::stream::Block;

/// A block's bytes; its number is in the key.
#[must_use]
pub fn encode(block: &Block) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.byte(FORMAT);
    writer.varint(block.first);
    writer.many(block.segments.iter(), write_segment);
    writer.finish()
}

/// The block `number` with these bytes.
pub fn decode(bytes: &[u8], number: u64) -> Result<Block, Corrupt> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Corrupt);
    }
    let first = reader.varint()?;
    let segments = reader.many(read_segment)?;
    reader.end().map(|()| Block {
        number,
        first,
        segments,
    })
}
