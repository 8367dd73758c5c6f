//! Compaction: reclaims room.

use super::api::{Found, Wait};
use super::append::{append, left, make_room};
use super::batch::{Body, Record};
use super::error::{CommitError, CompactError, ReadError};
use super::format::{SEGMENT_HEADER, record_length};
use super::index::Location;
use super::read::read;
use super::record::{Verified, is_hole, verify};
use super::scan::{Content, Depth, Piece, Scanned, Scanner};
use super::segments::Segment;
use super::state::{Compaction, State, Task};
use crate::store::ChangeNumber;
use bytes::Bytes;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Bytes moved in one batch. A commit may have to wait for one such batch.
const MOVED_BYTES: u64 = 4 << 20;
/// Upper bound for the headers of all batches that one segment is moved in.
const HEADERS: u64 = 4096;
/// Largest needed fraction of a segment that may be rewritten into the reserve.
const WORTH_THE_RESERVE: f64 = 0.75;
/// Bytes scanned in one step.
const SCANNED_BYTES: u64 = 16 << 20;
/// Tombstones may take this fraction of the values' size before the oldest segment is rewritten for
/// them.
const TOMBSTONE_PART: u64 = 4;

/// Record that was read in order to move it.
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

/// Does one compaction step; see [`Log::compact`](super::Log::compact).
pub(super) fn compact(state: &State) -> Result<bool, CompactError> {
    if is_nearly_full(state) {
        state.pins.relieve(&state.segments);
    }
    let done = step(state);
    if let Err(CompactError::Commit(CommitError::Full(_))) = done {
        state.pins.relieve(&state.segments);
    }
    done
}

fn step(state: &State) -> Result<bool, CompactError> {
    if state.refuses_writes() {
        return Err(CommitError::Refused.into());
    }
    let compaction = state.compaction.lock();
    let compaction = &mut *compaction.unwrap_or_else(PoisonError::into_inner);
    if compaction.removals_unsynced {
        sync_removals(state, compaction)?;
    }
    let task = match compaction.task.take() {
        Some(task) if fits_reserve(state, &task.segment) => task,
        _ => match choose(state) {
            Some(segment) => Task {
                segment,
                offset: SEGMENT_HEADER as u64,
            },
            None => return Ok(false),
        },
    };
    let task = compaction.task.insert(task);
    if needed(state, &task.segment) == 0 {
        let segment = Arc::clone(&task.segment);
        remove(state, &segment, compaction)?;
        return Ok(true);
    }
    match move_some(state, task) {
        Ok(false) => {}
        Ok(true) => {
            let segment = Arc::clone(&task.segment);
            remove(state, &segment, compaction)?;
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

/// Whether snapshots must give room back.
fn is_nearly_full(state: &State) -> bool {
    if state.pins.is_empty() {
        return false;
    }
    let limit = state.writer().limit;
    state.reserve.is_in_use() || room_runs_out(state, limit)
}

/// Needed bytes of a segment. The number never grows once the segment is sealed.
fn needed(state: &State, segment: &Segment) -> u64 {
    let tombstones = state.segments.needed_tombstones(segment);
    segment.live().saturating_add(tombstones)
}

/// Chooses the segment to rewrite next, if one is worth it.
fn choose(state: &State) -> Option<Arc<Segment>> {
    let (active, limit) = {
        let writer = state.writer();
        (writer.active.number, writer.limit)
    };
    let mut all = state.segments.all();
    all.retain(|segment| segment.number != active);
    let mut some_kept = false;
    let (mut bytes, mut live, mut tombstones) = (0_u64, 0_u64, 0_u64);
    let mut emptiest = None;
    for segment in &all {
        let marks = state.segments.needed_tombstones(segment);
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
    if state.reserve.is_in_use() {
        let fitting = all.into_iter().filter(|segment| {
            !segment.keep.load(Ordering::Relaxed)
                && fits_reserve(state, segment)
                && needed_share(state, segment) <= WORTH_THE_RESERVE
        });
        return fitting
            .min_by(|one, other| needed_share(state, one).total_cmp(&needed_share(state, other)));
    }
    let needed = live.saturating_add(tombstones);
    // Unneeded bytes may equal the needed ones; where room runs out, a quarter of them.
    let spare = match room_runs_out(state, limit) {
        true => needed / 4,
        false => needed,
    };
    if bytes > needed.saturating_add(spare).saturating_add(limit) {
        return emptiest.map(|(_, segment)| Arc::clone(segment));
    }
    // If one segment has to stay, rewriting would never empty the ranges.
    let many = tombstones > live.max(limit) / TOMBSTONE_PART;
    all.into_iter().next().filter(|_| many && !some_kept)
}

/// Needed fraction of a segment.
fn needed_share(state: &State, segment: &Segment) -> f64 {
    needed(state, segment) as f64 / segment.bytes() as f64
}

/// Whether the needed part of a segment fits into the rest of the reserve, if the reserve is in
/// use.
fn fits_reserve(state: &State, segment: &Segment) -> bool {
    if !state.reserve.is_in_use() {
        return true;
    }
    // Each batch of copies has a header.
    needed(state, segment).saturating_add(HEADERS) <= left(state, &state.writer())
}

/// Whether there is room for less than two segments of this size. Rewriting needs room itself, so
/// it can't wait until there is none.
fn room_runs_out(state: &State, limit: u64) -> bool {
    // The room is 0 where the system can't tell it.
    (1..limit.saturating_mul(2)).contains(&state.room())
}

/// Moves the needed records of the next part of a segment. Returns whether that was the last part.
fn move_some(state: &State, task: &mut Task) -> Result<bool, CompactError> {
    let segment = Arc::clone(&task.segment);
    let io = |source| ReadError::Io {
        file: segment.path.clone(),
        source,
    };
    let file = &*segment.file;
    let len = segment.bytes();
    let mut scanner = Scanner::new(file, state.directory.id, segment.number, len);
    let until = task.offset.saturating_add(SCANNED_BYTES);
    let (mut waiting, mut bytes, mut moved) = (Vec::new(), 0_u64, 0_u64);
    let mut offset = task.offset;
    let done = loop {
        if offset >= until || moved.saturating_add(bytes) >= MOVED_BYTES {
            break false;
        }
        match scanner.piece(offset, Depth::Headers).map_err(io)? {
            Piece::End => break true,
            Piece::Invalid => return Err(segment.damaged(offset).into()),
            Piece::Batch { records, end } => {
                for record in records {
                    if !is_needed(state, &segment, &record) {
                        continue;
                    }
                    let Some(record) = load(state, &segment, &mut scanner, record)? else {
                        continue;
                    };
                    bytes = bytes.saturating_add(record.record().length());
                    waiting.push(record);
                    if bytes >= MOVED_BYTES {
                        put_elsewhere(state, &segment, &waiting)?;
                        waiting.clear();
                        moved = moved.saturating_add(bytes);
                        bytes = 0;
                    }
                }
                offset = end;
            }
        }
    };
    put_elsewhere(state, &segment, &waiting)?;
    task.offset = offset;
    Ok(done)
}

fn is_needed(state: &State, segment: &Segment, record: &Scanned) -> bool {
    match record.content {
        Content::Tombstone(range) => state.segments.needs(range, segment.number),
        Content::Value | Content::Patch(_) => {
            let newest = newest(state, segment, &record.key, record.offset);
            newest.is_some()
        }
    }
}

/// Returns the place of a record if the record is the newest of its key.
fn newest(state: &State, segment: &Segment, key: &str, offset: u32) -> Option<Location> {
    let place = state.index.get(key)?;
    (place.segment == segment.number && place.offset == offset).then_some(place)
}

/// Reads a record in order to move it: values are moved whole. Returns `None` if a newer record
/// exists by now.
fn load(
    state: &State,
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
            let id = state.directory.id;
            let value = verify(&bytes, &record.key, id).and_then(Verified::value);
            match value {
                Some(value) => Body::Value(value),
                None if is_hole(&bytes, &record.key, id) => {
                    Body::Hole(Bytes::from(vec![0; record.length as usize]))
                }
                None => return Err(segment.damaged(start)),
            }
        }
        Content::Patch(_) => {
            let Some(place) = newest(state, segment, &record.key, record.offset) else {
                return Ok(None);
            };
            match read(
                state.directory.id,
                segment,
                place,
                &record.key,
                Wait::ForDisk,
            )? {
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

/// Commits copies of the records that are still the newest of their key. The writer lock keeps
/// other commits from changing that.
fn put_elsewhere(state: &State, segment: &Segment, waiting: &[Moved]) -> Result<(), CompactError> {
    let mut writer = state.writer();
    let records: Vec<Record<'_>> = waiting
        .iter()
        .filter(|moved| match moved.body {
            Body::Value(_) | Body::Patch(_) | Body::Hole(_) => {
                let newest = newest(state, segment, &moved.key, moved.offset);
                newest.is_some()
            }
            Body::Tombstone(_) => true,
        })
        .map(Moved::record)
        .collect();
    if !records.is_empty() {
        make_room(state, &mut writer, records.iter().map(Record::length).sum())?;
        append(state, &mut writer, &records)?;
    }
    Ok(())
}

/// Removes a segment without needed records.
fn remove(
    state: &State,
    segment: &Segment,
    compaction: &mut Compaction,
) -> Result<(), CompactError> {
    debug_assert!(
        !state.index.names(segment.number),
        "a needed record would be lost"
    );
    if segment.live() != 0 {
        segment.keep.store(true, Ordering::Relaxed);
        compaction.task = None;
        return Ok(());
    }
    sync_copies(state)?;
    state.change_names(|manifest| manifest.forget(segment.number))?;
    match state.directory.files.remove(&segment.path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(CompactError::Io {
                path: segment.path.clone(),
                source,
            });
        }
        _ => {}
    }
    state.segments.remove(segment.number);
    compaction.task = None;
    compaction.removals_unsynced = true;
    sync_removals(state, compaction)
}

/// Makes records durable that supersede or replace those of a segment to be removed.
fn sync_copies(state: &State) -> Result<(), CompactError> {
    let (active, tail) = {
        let writer = state.writer();
        if writer.synced == writer.tail {
            return Ok(());
        }
        (Arc::clone(&writer.active), writer.tail)
    };
    active.file.sync().map_err(|error| state.refuse(error))?;
    let mut writer = state.writer();
    if writer.active.number == active.number {
        writer.synced = writer.synced.max(tail);
    }
    Ok(())
}

fn sync_removals(state: &State, compaction: &mut Compaction) -> Result<(), CompactError> {
    let path = &state.directory.path;
    let synced = state.directory.files.sync_dir(path);
    synced.map_err(|source| CompactError::Io {
        path: path.clone(),
        source,
    })?;
    compaction.removals_unsynced = false;
    Ok(())
}
