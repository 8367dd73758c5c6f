//! The readable records of a damaged store, which stays unchanged.
//!
//! [`Log::open`](super::Log::open) refuses a log in which the keys of a batch are unknown.
//! `Remains` takes every valid record, wherever it is. So any key may have an older value here than
//! in the original store.

use super::api::{Found, Wait};
use super::check::{Damage, Fault, Report, damage, names};
use super::directory::Directory;
use super::enter::{Entered, enter};
use super::error::{OpenError, ReadError};
use super::files::Files;
use super::format::{Names, SEGMENT_HEADER, SegmentHeader, SegmentNumber};
use super::index::{Index, Location, PatchPlace};
use super::read::read;
use super::scan::{Content, Depth, Piece, Scanned, Scanner};
use super::segments::{Segment, Segments, is_unused, read_segment_header};
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Readable records of a store.
pub(crate) struct Remains {
    directory: Directory,
    index: Index,
    segments: Segments,
    highest: ChangeNumber,
    report: Report,
}

impl Remains {
    /// Reads the headers and keys of a store. Values are verified when they are read. `progress`
    /// gets the number of segments read so far, and of all segments.
    ///
    /// # Errors
    ///
    /// When the directory is not a store, is open elsewhere or can't be read. Damage is in the
    /// report.
    pub(crate) fn open(
        dir: &Path,
        files: Arc<dyn Files>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, OpenError> {
        let mut remains = Self {
            directory: Directory::open_existing(dir, files)?,
            index: Index::new(),
            segments: Segments::default(),
            highest: ChangeNumber::default(),
            report: Report::default(),
        };
        let (numbers, names) = remains.segments_to_read().map_err(io_at(dir))?;
        let newest = match &names {
            Some(names) => numbers.last().copied().max(Some(names.newest())),
            None => remains.last_used(&numbers).map_err(io_at(dir))?,
        };
        for (read, number) in (1..).zip(&numbers) {
            let path = remains.directory.segment_path(*number);
            let sealed = names.as_ref().and_then(|names| names.length(*number));
            // Only the newest segment may end with an unfinished write.
            let may_be_torn = Some(*number) == newest;
            remains
                .read_segment(*number, sealed, may_be_torn)
                .map_err(io_at(&path))?;
            progress(read, numbers.len() as u64);
        }
        Ok(remains)
    }

    /// Damage found during the reads.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }

    /// Highest change number.
    pub(crate) const fn highest_sequence(&self) -> ChangeNumber {
        self.highest
    }

    /// Visits every key with the length of its value.
    pub(crate) fn for_each_key(&self, visit: &mut dyn FnMut(&str, u32)) {
        self.index
            .for_each(|key, place| visit(key, place.value_length));
    }

    /// Reads a key.
    ///
    /// # Errors
    ///
    /// When the file system fails, or the newest known value is damaged.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Bytes>, ReadError> {
        let Some(place) = self.index.get(key) else {
            return Ok(None);
        };
        let Some(segment) = self.segments.get(place.segment) else {
            return Ok(None);
        };
        match read(self.directory.id, &segment, place, key, Wait::ForDisk)? {
            Found::Value { value, .. } => Ok(Some(value)),
            Found::Absent | Found::NotResident => Ok(None),
        }
    }

    /// Returns the segments that belong or may belong to the store, and the manifest, if it is
    /// readable.
    fn segments_to_read(&mut self) -> io::Result<(Vec<SegmentNumber>, Option<Names>)> {
        let mut found = self.directory.segments()?;
        if !self.directory.has_manifest() {
            return Ok((found, None));
        }
        let Some(names) = names(&self.directory, &mut self.report)? else {
            return Ok((found, None));
        };
        for number in names.numbers().filter(|number| !found.contains(number)) {
            let path = self.directory.segment_path(number);
            self.report.damages.push(damage(Fault::Missing, path, 0));
        }
        let mut newer = Vec::new();
        for number in found.iter().filter(|number| **number > names.newest()) {
            let path = self.directory.segment_path(*number);
            let file = self.directory.files.open(&path)?;
            if !is_unused(&*file, self.directory.id, *number)? {
                newer.push(*number);
                self.report.damages.push(damage(Fault::Unnamed, path, 0));
            }
        }
        // Other files are left from an interrupted creation or removal.
        found.retain(|number| names.has(*number) || newer.contains(number));
        Ok((found, Some(names)))
    }

    /// Returns the newest segment that is not empty.
    fn last_used(&self, numbers: &[SegmentNumber]) -> io::Result<Option<SegmentNumber>> {
        for number in numbers.iter().rev() {
            let path = self.directory.segment_path(*number);
            let file = self.directory.files.open(&path)?;
            if !is_unused(&*file, self.directory.id, *number)? {
                return Ok(Some(*number));
            }
        }
        Ok(None)
    }

    fn read_segment(
        &mut self,
        number: SegmentNumber,
        sealed: Option<u32>,
        may_be_torn: bool,
    ) -> io::Result<()> {
        let path = self.directory.segment_path(number);
        let file = self.directory.files.open(&path)?;
        let length = file.length()?;
        let len = sealed.map_or(length, |sealed| length.min(sealed.into()));
        self.report.segments = self.report.segments.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(length);
        let segment = Arc::new(Segment::new(number, path.clone(), file));
        self.segments.insert(Arc::clone(&segment));
        let header = read_segment_header(&*segment.file, len)?;
        match SegmentHeader::decode(&header, self.directory.id) {
            Some(header) if header.segment == number => {
                self.highest = self.highest.max(header.highest);
            }
            _ => {
                let mut damage = damage(Fault::Changed, path.clone(), 0);
                damage.unfinished = may_be_torn && len <= SEGMENT_HEADER as u64;
                self.report.damages.push(damage);
            }
        }
        let end = self.read_batches(&segment, len, may_be_torn)?;
        if sealed.is_some_and(|sealed| end < sealed.into()) {
            self.report.damages.push(damage(Fault::Short, path, end));
        }
        Ok(())
    }

    /// Enters the records of a segment. Returns the offset of their end.
    fn read_batches(&mut self, segment: &Segment, len: u64, may_be_torn: bool) -> io::Result<u64> {
        let depth = match may_be_torn {
            true => Depth::Values,
            false => Depth::Headers,
        };
        let mut scanner = Scanner::new(&*segment.file, self.directory.id, segment.number, len);
        let mut offset = SEGMENT_HEADER as u64;
        loop {
            let piece = scanner.piece(offset, depth)?;
            let (records, end) = match piece {
                Piece::End => return Ok(offset),
                Piece::Batch { records, end } if records.iter().all(|record| !record.damaged) => {
                    self.enter(segment, &records);
                    offset = end;
                    continue;
                }
                Piece::Batch { records, end } => (Some(records), end),
                Piece::Invalid => (None, len),
            };
            let next = scanner.next_header(offset)?.map(|(next, _)| next);
            if may_be_torn && next.is_none() {
                // A start would cut off this write, too.
                let damage = Damage {
                    unfinished: true,
                    ..damage(Fault::Changed, segment.path.clone(), offset)
                };
                self.report.damages.push(damage);
                return Ok(offset);
            }
            let end = next.unwrap_or(end);
            let records = match records {
                Some(records) => records,
                None => {
                    let damage = damage(Fault::Changed, segment.path.clone(), offset);
                    self.report.damages.push(damage);
                    scanner.records_within(offset, end, depth)?
                }
            };
            self.enter(segment, &records);
            offset = end;
        }
    }

    fn enter(&mut self, segment: &Segment, records: &[Scanned]) {
        self.report.records = self.report.records.saturating_add(records.len() as u64);
        for record in records {
            self.highest = self.highest.max(record.sequence);
            let entered = Entered {
                key: &record.key,
                sequence: record.sequence,
                offset: record.offset,
                length: record.length,
                content: record.content,
            };
            if !enter(&self.index, &self.segments, segment, &entered)
                && let Content::Patch(head) = record.content
            {
                // The patch's base is lost. The patch is still the newest value, and reading it
                // fails.
                let patch = PatchPlace {
                    length: record.length,
                    base: head.base,
                    base_length: 0,
                };
                let place = Location {
                    sequence: record.sequence,
                    segment: segment.number,
                    offset: record.offset,
                    value_length: head.length,
                    first: segment.number,
                    patch: Some(patch),
                };
                self.index.put(&record.key, place);
            }
        }
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
