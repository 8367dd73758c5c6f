//! Reads the sealed segments again, so that damage is known before a start finds it.
//!
//! A scrub takes no lock that a commit waits for: it has its own handles on files that are no
//! longer written. Compaction may remove a segment during its scrub. The scrub reads from the disk
//! itself where the file system has direct reads. So it pushes no other pages out of memory.

use super::check::{Damage, Fault, damage, is_whole};
use super::files::LogFile;
use super::format::{SEGMENT_HEADER, SegmentNumber};
use super::scan::{Depth, Piece, Scanned, Scanner};
use super::state::State;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Position of a scrub.
#[derive(Default)]
pub(crate) struct Scrub {
    /// Segment in progress.
    open: Option<Opened>,
    /// Last segment that was finished.
    done: SegmentNumber,
}

struct Opened {
    number: SegmentNumber,
    path: PathBuf,
    file: Arc<dyn LogFile>,
    len: u64,
    offset: u64,
}

/// Result of one step.
#[derive(Debug, Default)]
pub(crate) struct Scrubbed {
    /// Bytes checked.
    pub bytes: u64,
    /// Damage of present values, and of batches.
    pub damages: Vec<Damage>,
    /// Segment that the file system can't read; the scrub goes on with the next one.
    pub unreadable: Option<(PathBuf, io::Error)>,
    /// Whether all segments were read.
    pub is_over: bool,
}

/// Does one step of about `most` bytes; see [`Log::scrub`](super::Log::scrub).
pub(super) fn scrub(state: &State, scrub: &mut Scrub, most: u64) -> Scrubbed {
    let mut found = Scrubbed::default();
    let mut opened = match scrub.open.take() {
        Some(opened) => opened,
        None => match next(state, scrub.done) {
            Ok(Some(opened)) => opened,
            Ok(None) => {
                scrub.done = 0;
                found.is_over = true;
                return found;
            }
            Err((number, path, error)) => {
                scrub.done = number;
                // Compaction removed the file first.
                if error.kind() != io::ErrorKind::NotFound {
                    found.unreadable = Some((path, error));
                }
                return found;
            }
        },
    };
    let begun = opened.offset;
    let read = read_some(state, &mut opened, most, &mut found.damages);
    found.bytes = opened.offset.saturating_sub(begun);
    match read {
        Ok(false) => scrub.open = Some(opened),
        Ok(true) => scrub.done = opened.number,
        Err(error) => {
            scrub.done = opened.number;
            found.unreadable = Some((opened.path, error));
        }
    }
    found
}

/// Opens the next sealed segment after this one. The newest segment is not sealed.
fn next(
    state: &State,
    after: SegmentNumber,
) -> Result<Option<Opened>, (SegmentNumber, PathBuf, io::Error)> {
    let all = state.segments.all();
    let sealed = all.split_last().map_or(&[][..], |(_, sealed)| sealed);
    let Some(segment) = sealed.iter().find(|segment| segment.number > after) else {
        return Ok(None);
    };
    let (number, path) = (segment.number, segment.path.clone());
    match state.directory.files.open_direct(&path) {
        Ok(file) => Ok(Some(Opened {
            number,
            path,
            file,
            len: segment.bytes(),
            offset: SEGMENT_HEADER as u64,
        })),
        Err(error) => Err((number, path, error)),
    }
}

/// Reads further in a segment. Returns whether the segment's end was reached.
fn read_some(
    state: &State,
    opened: &mut Opened,
    most: u64,
    damages: &mut Vec<Damage>,
) -> io::Result<bool> {
    let Opened {
        number,
        path,
        file,
        len,
        offset,
    } = opened;
    let id = state.directory.id;
    let file = &**file;
    let mut scanner = Scanner::new(file, id, *number, *len);
    let until = offset.saturating_add(most);
    // Damage in a removed segment is not reported.
    let is_there = || state.segments.get(*number).is_some();
    while *offset < until {
        match scanner.piece(*offset, Depth::Values)? {
            Piece::End => {
                if *offset < *len && is_there() {
                    damages.push(damage(Fault::Short, path.clone(), *offset));
                }
                return Ok(true);
            }
            Piece::Batch { records, end } => {
                for record in records {
                    if !record.is_hole
                        && is_needed(state, *number, &record)
                        && (record.damaged || !is_whole(file, id, &record)?)
                    {
                        let mut damage = damage(Fault::Changed, path.clone(), record.offset.into());
                        damage.key = Some(record.key);
                        damages.push(damage);
                    }
                }
                *offset = end;
            }
            Piece::Invalid => {
                if is_there() {
                    damages.push(damage(Fault::Changed, path.clone(), *offset));
                }
                match scanner.next_header(*offset)? {
                    Some((next, _)) => *offset = next,
                    None => return Ok(true),
                }
            }
        }
    }
    Ok(false)
}

/// Whether the key's present value is this record, or a patch of it.
fn is_needed(state: &State, number: SegmentNumber, record: &Scanned) -> bool {
    state.index.get(&record.key).is_some_and(|place| {
        let is_it = place.segment == number && place.offset == record.offset;
        is_it || place.base_length(number, record.offset).is_some()
    })
}
