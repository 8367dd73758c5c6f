//! Finds damage.

use super::directory::Directory;
use super::error::OpenError;
use super::files::{Files, LogFile};
use super::format::{Names, SEGMENT_HEADER, SegmentHeader, SegmentNumber, StoreId};
use super::manifest::MANIFEST;
use super::record::is_rebuilt;
use super::scan::{Content, Depth, Piece, Scanned, Scanner};
use super::segments::{is_unused, read_segment_header};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result of checking all segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Segments read.
    pub segments: u64,
    /// Records in them, including those superseded by newer ones.
    pub records: u64,
    /// Bytes of the segments.
    pub bytes: u64,
    /// All places of damage. A crash may leave one at the end of the newest segment; opening the
    /// store cuts it off.
    pub damages: Vec<Damage>,
    /// Keys with a value that a salvage recorded as lost.
    pub holes: BTreeSet<Box<str>>,
}

/// Kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Bytes differ from the written ones.
    Changed,
    /// The manifest names the segment, but the segment is missing.
    Missing,
    /// The segment is shorter than the manifest says.
    Short,
    /// The segment has batches, and is newer than every segment in the manifest.
    Unnamed,
    /// The manifest itself is missing or damaged.
    Manifest,
}

/// One place of damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Kind of damage.
    pub fault: Fault,
    /// The segment.
    pub file: PathBuf,
    /// Offset of the record, batch or header in the segment.
    pub offset: u64,
    /// Key of the damaged value, if it is known.
    pub key: Option<Box<str>>,
    /// Whether the damage may be a write that a crash interrupted, and that was never acknowledged.
    pub unfinished: bool,
}

/// Reads all of a closed store, even one that can't be opened because of damage. Changes nothing.
///
/// # Errors
///
/// When the directory is not a store, is open elsewhere or can't be read. Damage is in the report.
pub(crate) fn check(dir: &Path, files: Arc<dyn Files>) -> Result<Report, OpenError> {
    let directory = Directory::open_existing(dir, files)?;
    let io = |path: &Path, source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let numbers = directory.segments().map_err(|error| io(dir, error))?;
    let mut report = Report::default();
    let names = match directory.has_manifest() {
        true => names(&directory, &mut report).map_err(|error| io(dir, error))?,
        false => None,
    };
    for number in names.iter().flat_map(Names::numbers) {
        if !numbers.contains(&number) {
            let path = directory.segment_path(number);
            report.damages.push(damage(Fault::Missing, path, 0));
        }
    }
    for number in numbers {
        let path = directory.segment_path(number);
        if let Some(names) = &names
            && number <= names.newest()
            && !names.has(number)
        {
            // The segment's removal was interrupted.
            continue;
        }
        directory
            .files
            .open(&path)
            .and_then(|file| {
                if let Some(names) = &names
                    && !names.has(number)
                {
                    if !is_unused(&*file, directory.id, number)? {
                        report.damages.push(damage(Fault::Unnamed, path.clone(), 0));
                    }
                    return Ok(());
                }
                let len = file.length()?;
                let end = check_segment(&*file, directory.id, number, &path, len, &mut report)?;
                let length = names.as_ref().and_then(|names| names.length(number));
                if let Some(length) = length
                    && end < length.into()
                {
                    report.damages.push(damage(Fault::Short, path.clone(), end));
                }
                Ok(())
            })
            .map_err(|error| io(&path, error))?;
    }
    Ok(report)
}

/// Returns the segments that the manifest names.
pub(super) fn names(directory: &Directory, report: &mut Report) -> io::Result<Option<Names>> {
    let manifest = directory.manifest()?;
    if manifest.is_none() {
        let path = directory.path.join(MANIFEST);
        report.damages.push(damage(Fault::Manifest, path, 0));
    }
    Ok(manifest.map(|manifest| manifest.names().clone()))
}

pub(super) fn damage(fault: Fault, file: PathBuf, offset: u64) -> Damage {
    Damage {
        fault,
        file,
        offset,
        key: None,
        unfinished: false,
    }
}

/// Checks a segment up to `len` and adds the result to the report. Returns the end of the last
/// batch, or `len` if the rest is damaged.
pub(super) fn check_segment(
    file: &dyn LogFile,
    id: StoreId,
    number: SegmentNumber,
    path: &Path,
    len: u64,
    report: &mut Report,
) -> io::Result<u64> {
    report.segments = report.segments.saturating_add(1);
    report.bytes = report.bytes.saturating_add(len);
    let damage = |offset, key, unfinished| Damage {
        fault: Fault::Changed,
        file: path.to_owned(),
        offset,
        key,
        unfinished,
    };
    let header = SegmentHeader::decode(&read_segment_header(file, len)?, id);
    if header.is_none_or(|header| header.segment != number) {
        let unfinished = len <= SEGMENT_HEADER as u64;
        report.damages.push(damage(0, None, unfinished));
    }
    let mut scanner = Scanner::new(file, id, number, len);
    let mut offset = SEGMENT_HEADER as u64;
    loop {
        match scanner.piece(offset, Depth::Values)? {
            Piece::End => return Ok(offset),
            Piece::Batch { records, end } => {
                // A segment is synced before anything is written to a later one.
                for earlier in report
                    .damages
                    .iter_mut()
                    .filter(|damage| damage.file != path)
                {
                    earlier.unfinished = false;
                }
                report.records = report.records.saturating_add(records.len() as u64);
                let mut damaged = Vec::new();
                for record in records {
                    if record.is_hole {
                        report.holes.insert(record.key);
                    } else if record.damaged || !is_whole(file, id, &record)? {
                        damaged.push(record);
                    }
                }
                let unfinished = !damaged.is_empty() && !scanner.is_proof_after(offset)?;
                for record in damaged {
                    let damage = damage(record.offset.into(), Some(record.key), unfinished);
                    report.damages.push(damage);
                }
                offset = end;
            }
            Piece::Invalid => {
                let unfinished = !scanner.is_proof_after(offset)?;
                report.damages.push(damage(offset, None, unfinished));
                match scanner.next_header(offset)? {
                    Some((next, _)) => offset = next,
                    None => return Ok(len),
                }
            }
        }
    }
}

/// Whether a patch rebuilds its value from its base.
pub(super) fn is_whole(file: &dyn LogFile, id: StoreId, record: &Scanned) -> io::Result<bool> {
    match record.content {
        Content::Value | Content::Tombstone(_) => Ok(true),
        Content::Patch(head) => {
            is_rebuilt(file, record.offset, record.length, head, &record.key, id)
        }
    }
}
