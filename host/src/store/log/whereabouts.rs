//! Keys of the bytes in a segment, for tests that damage them.

use super::directory::Directory;
use super::files::SystemFiles;
use super::format::SEGMENT_HEADER;
use super::scan::{Depth, Piece, Scanner};
use std::path::Path;
use std::sync::Arc;

/// Byte range of a segment, and the keys that damage in this range may affect.
pub(crate) struct Stretch {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) keys: Vec<String>,
}

/// Returns all ranges of a segment in an intact store. Damage in the last batch of the newest
/// segment counts as an unfinished write: it affects all keys of the batch.
pub(crate) fn stretches(dir: &Path, segment: u32) -> Vec<Stretch> {
    let directory = Directory::open_existing(dir, Arc::new(SystemFiles)).expect("a store");
    let newest = directory.segments().expect("it reads").last().copied();
    let path = directory.segment_path(segment);
    let file = directory.files.open(&path).expect("it opens");
    let len = file.length().expect("it reads");
    let mut scanner = Scanner::new(&*file, directory.id, segment, len);
    let mut offset = SEGMENT_HEADER as u64;
    let mut stretches = Vec::new();
    while let Piece::Batch { records, end } = scanner.piece(offset, Depth::Values).expect("reads") {
        let next = scanner.next_header(offset).expect("it reads");
        if next.is_none() && Some(segment) == newest {
            let keys = records.iter().map(|record| record.key.to_string());
            stretches.push(Stretch {
                begin: offset,
                end: len,
                keys: keys.collect(),
            });
            break;
        }
        let ends: Vec<u64> = records
            .iter()
            .skip(1)
            .map(|next| next.offset.into())
            .collect();
        for (record, end) in records.iter().zip(ends.into_iter().chain([end])) {
            stretches.push(Stretch {
                begin: record.offset.into(),
                end,
                keys: vec![record.key.to_string()],
            });
        }
        offset = end;
    }
    stretches
}
