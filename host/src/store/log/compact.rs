//! Giving room back.

use super::batch::{Body, Record};
use super::engine::{Log, damaged};
use super::error::{CompactError, ReadError};
use super::format::{SEGMENT_HEADER, record_length};
use super::index::Place;
use super::record::{Verified, verify};
use super::scan::{Content, Depth, Piece, Scanned, Scanner};
use super::segments::Segment;
use super::{Found, Wait};
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Moved in one batch: what a commit may have to wait for.
const MOVED_BYTES: u64 = 4 << 20;
/// Looked through in one step.
const SCANNED_BYTES: u64 = 16 << 20;
/// Tombstones may take this part of the values before the oldest segment is rewritten for them.
const TOMBSTONE_PART: u64 = 4;

/// What compaction is at.
#[derive(Default)]
pub(super) struct Compaction {
    task: Option<Task>,
    /// A crash may bring back segments that were removed. Until that is ruled out nothing more is
    /// done: with another one the tombstone could go that outweighs what is in them.
    removals_unsynced: bool,
}

/// A segment that is being rewritten.
struct Task {
    segment: Arc<Segment>,
    /// Up to here all that is needed was moved.
    offset: u64,
}

/// A record that was read in order to be moved.
struct Moved {
    key: Box<str>,
    sequence: ChangeNumber,
    offset: u32,
    body: Body,
}

impl Moved {
    fn record(&self) -> Record<'_> {
        Record {
            key: &self.key,
            sequence: self.sequence,
            replaces: true,
            body: self.body.clone(),
        }
    }
}

impl Log {
    /// Does one step of giving room back, and says whether there may be more to do. Commits wait
    /// for at most one batch of a few megabytes.
    ///
    /// # Errors
    ///
    /// The step was not done; the data is as it was.
    pub fn compact(&self) -> Result<bool, CompactError> {
        if self.refuses_writes() {
            return Err(super::CommitError::Refused.into());
        }
        let compaction = self.compaction.lock();
        let compaction = &mut *compaction.unwrap_or_else(PoisonError::into_inner);
        if compaction.removals_unsynced {
            self.sync_removals(compaction)?;
        }
        let task = match compaction.task.take() {
            Some(task) => task,
            None => match self.choose() {
                Some(segment) => Task {
                    segment,
                    offset: SEGMENT_HEADER as u64,
                },
                None => return Ok(false),
            },
        };
        let task = compaction.task.insert(task);
        if self.needed(&task.segment) == 0 {
            let segment = Arc::clone(&task.segment);
            self.remove(&segment, compaction)?;
            return Ok(true);
        }
        match self.move_some(task) {
            Ok(false) => {}
            Ok(true) => {
                let segment = Arc::clone(&task.segment);
                self.remove(&segment, compaction)?;
            }
            Err(error) => {
                if let CompactError::Read(_) = error {
                    task.segment.keep.store(true, Ordering::Relaxed);
                    compaction.task = None;
                }
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Bytes of a segment that are needed. None come to be once it is sealed.
    fn needed(&self, segment: &Segment) -> u64 {
        let tombstones = self.segments.needed_tombstones(segment);
        segment.live().saturating_add(tombstones)
    }

    /// The segment to rewrite next, if any is worth it.
    fn choose(&self) -> Option<Arc<Segment>> {
        let (active, limit) = {
            let writer = self.writer();
            (writer.active.number, writer.limit)
        };
        let mut all = self.segments.all();
        all.retain(|segment| segment.number != active);
        let mut some_kept = false;
        let (mut bytes, mut live, mut tombstones) = (0_u64, 0_u64, 0_u64);
        let mut emptiest = None;
        for segment in &all {
            let marks = self.segments.needed_tombstones(segment);
            let needed = segment.live().saturating_add(marks);
            if needed == 0 {
                return Some(Arc::clone(segment));
            }
            if segment.keep.load(Ordering::Relaxed) {
                some_kept = true;
                continue;
            }
            bytes = bytes.saturating_add(segment.bytes());
            live = live.saturating_add(segment.live());
            tombstones = tombstones.saturating_add(marks);
            let share = needed as f64 / segment.bytes() as f64;
            if emptiest.as_ref().is_none_or(|(least, _)| share < *least) {
                emptiest = Some((share, segment));
            }
        }
        let needed = live.saturating_add(tombstones);
        // What is not needed may be as much again; where room runs out, a quarter.
        let spare = match self.room_runs_out(limit) {
            true => needed / 4,
            false => needed,
        };
        if bytes > needed.saturating_add(spare).saturating_add(limit) {
            return emptiest.map(|(_, segment)| Arc::clone(segment));
        }
        // With one that has to stay, no end of rewriting would empty the ranges.
        let many = tombstones > live.max(limit) / TOMBSTONE_PART;
        all.into_iter().next().filter(|_| many && !some_kept)
    }

    /// Whether there is room for less than two segments of this size: rewriting needs some itself,
    /// so it can't wait until there is none.
    fn room_runs_out(&self, limit: u64) -> bool {
        // 0 where it can't be told.
        (1..limit.saturating_mul(2)).contains(&self.room())
    }

    /// Moves what is needed of the next part of a segment. Returns whether that was the last.
    fn move_some(&self, task: &mut Task) -> Result<bool, CompactError> {
        let segment = Arc::clone(&task.segment);
        let io = |source| ReadError::Io {
            file: segment.path.clone(),
            source,
        };
        let file = &*segment.file;
        let len = segment.bytes();
        let mut scanner = Scanner::new(file, self.directory.id, segment.number, len);
        let until = task.offset.saturating_add(SCANNED_BYTES);
        let (mut waiting, mut bytes, mut moved) = (Vec::new(), 0_u64, 0_u64);
        let mut offset = task.offset;
        let done = loop {
            if offset >= until || moved.saturating_add(bytes) >= MOVED_BYTES {
                break false;
            }
            match scanner.piece(offset, Depth::Headers).map_err(io)? {
                Piece::End => break true,
                Piece::Invalid => return Err(damaged(&segment, offset).into()),
                Piece::Batch { records, end } => {
                    for record in records {
                        if !self.is_needed(&segment, &record) {
                            continue;
                        }
                        let Some(record) = self.load(&segment, &mut scanner, record)? else {
                            continue;
                        };
                        bytes = bytes.saturating_add(record.record().length());
                        waiting.push(record);
                        if bytes >= MOVED_BYTES {
                            self.put_elsewhere(&segment, &waiting)?;
                            waiting.clear();
                            moved = moved.saturating_add(bytes);
                            bytes = 0;
                        }
                    }
                    offset = end;
                }
            }
        };
        self.put_elsewhere(&segment, &waiting)?;
        task.offset = offset;
        Ok(done)
    }

    fn is_needed(&self, segment: &Segment, record: &Scanned) -> bool {
        match record.content {
            Content::Tombstone(range) => self.segments.needs(range, segment.number),
            Content::Value | Content::Patch(_) => {
                let newest = self.newest(segment, &record.key, record.offset);
                newest.is_some()
            }
        }
    }

    /// The place of a record, if it is the newest of its key.
    fn newest(&self, segment: &Segment, key: &str, offset: u32) -> Option<Place> {
        let place = self.index.get(key)?;
        (place.segment == segment.number && place.offset == offset).then_some(place)
    }

    /// Reads what is to be moved of a record: values are moved whole. None where a newer record
    /// has come meanwhile.
    fn load(
        &self,
        segment: &Segment,
        scanner: &mut Scanner<'_>,
        record: Scanned,
    ) -> Result<Option<Moved>, ReadError> {
        let body = match record.content {
            Content::Tombstone(range) => Body::Tombstone(range),
            Content::Value => {
                let io = |source| ReadError::Io {
                    file: segment.path.clone(),
                    source,
                };
                let length = record_length(record.key.len(), record.length.into());
                let start = u64::from(record.offset);
                let bytes = scanner.bytes(start, length).map_err(io)?;
                let bytes = Bytes::copy_from_slice(bytes.unwrap_or_default());
                let value = verify(&bytes, &record.key, self.directory.id);
                let value = value.and_then(Verified::value);
                Body::Value(value.ok_or_else(|| damaged(segment, start))?)
            }
            Content::Patch(_) => {
                let Some(place) = self.newest(segment, &record.key, record.offset) else {
                    return Ok(None);
                };
                match self.read(segment, place, &record.key, Wait::ForDisk)? {
                    Found::Value { value, .. } => Body::Value(value),
                    Found::Absent | Found::NotResident => return Ok(None),
                }
            }
        };
        Ok(Some(Moved {
            key: record.key,
            sequence: record.sequence,
            offset: record.offset,
            body,
        }))
    }

    /// Commits copies of those records that are still the newest of their key. No other commit
    /// can change that meanwhile.
    fn put_elsewhere(&self, segment: &Segment, waiting: &[Moved]) -> Result<(), CompactError> {
        let mut writer = self.writer();
        let records: Vec<Record<'_>> = waiting
            .iter()
            .filter(|moved| match moved.body {
                Body::Value(_) | Body::Patch(_) => {
                    let newest = self.newest(segment, &moved.key, moved.offset);
                    newest.is_some()
                }
                Body::Tombstone(_) => true,
            })
            .map(Moved::record)
            .collect();
        if !records.is_empty() {
            self.make_room(&mut writer, records.iter().map(Record::length).sum())?;
            self.append(&mut writer, &records)?;
        }
        Ok(())
    }

    /// Removes a segment that nothing is needed of.
    fn remove(&self, segment: &Segment, compaction: &mut Compaction) -> Result<(), CompactError> {
        debug_assert!(
            !self.index.names(segment.number),
            "a needed record would be lost"
        );
        if segment.live() != 0 {
            segment.keep.store(true, Ordering::Relaxed);
            compaction.task = None;
            return Ok(());
        }
        self.sync_copies()?;
        match self.directory.files.remove(&segment.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CompactError::Io {
                    path: segment.path.clone(),
                    source,
                });
            }
            _ => {}
        }
        self.segments.remove(segment.number);
        compaction.task = None;
        compaction.removals_unsynced = true;
        self.sync_removals(compaction)
    }

    /// Makes durable what outweighs or replaces the records of a segment that is to be removed.
    fn sync_copies(&self) -> Result<(), CompactError> {
        let (active, tail) = {
            let writer = self.writer();
            if writer.synced == writer.tail {
                return Ok(());
            }
            (Arc::clone(&writer.active), writer.tail)
        };
        active.file.sync().map_err(|error| self.refuse(error))?;
        let mut writer = self.writer();
        if writer.active.number == active.number {
            writer.synced = writer.synced.max(tail);
        }
        Ok(())
    }

    fn sync_removals(&self, compaction: &mut Compaction) -> Result<(), CompactError> {
        let path = &self.directory.path;
        let synced = self.directory.files.sync_dir(path);
        synced.map_err(|source| CompactError::Io {
            path: path.clone(),
            source,
        })?;
        compaction.removals_unsynced = false;
        Ok(())
    }
}
