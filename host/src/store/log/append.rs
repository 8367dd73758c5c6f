//! Appends batches.

use super::api::{Change, Durability, MAX_BATCH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use super::batch::{Body, Layout, Position, Record, batch_length};
use super::directory::Directory;
use super::enter::{Entered, enter};
use super::error::CommitError;
use super::files::write_all_at;
use super::format::{BATCH_HEADER, Range, SEGMENT_HEADER, SegmentHeader};
use super::format::{RANGE, record_length};
use super::segments::{Segment, segment_bytes};
use super::state::{State, Writer};
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Zeros written ahead, and the largest batch for which that pays. Measured on ext4: 8 KiB batches
/// are two and a half times as fast, 64 KiB ones half as fast again, and from 256 KiB on there is
/// no gain.
const AHEAD_BYTES: u64 = 1 << 20;
const AHEAD_UP_TO: u64 = 128 << 10;
static ZEROS: [u8; AHEAD_BYTES as usize] = [0; AHEAD_BYTES as usize];

/// Appends a batch and applies it; see [`Log::commit`](super::Log::commit).
pub(super) fn commit(state: &State, batch: &[Change]) -> Result<(), CommitError> {
    if state.reserve.is_in_use() {
        return Err(no_room());
    }
    let committed = commit_to(state, &mut state.writer(), batch);
    match committed {
        // A snapshot must not make a commit fail.
        Err(CommitError::Full(_)) if state.pins.relieve(&state.segments) => {
            commit_to(state, &mut state.writer(), batch)
        }
        other => other,
    }
}

/// Appends a batch that frees room after the disk had none for it. `growth` is the number of bytes
/// by which its values grow; see [`Log::commit_freeing`](super::Log::commit_freeing).
pub(super) fn commit_freeing(
    state: &State,
    batch: &[Change],
    growth: u64,
) -> Result<(), CommitError> {
    let mut writer = state.writer();
    if !state.reserve.is_in_use() {
        if !state.reserve.is_whole() {
            return Err(no_room());
        }
        begin_reserve(state, &mut writer)?;
    }
    // The rest of the reserve is for compaction.
    let length: u64 = batch.iter().map(length).sum();
    if left(state, &writer) < length.saturating_add(state.reserve.bytes() / 4) {
        return Err(no_room());
    }
    if !state.reserve.grow(growth) {
        return Err(no_room());
    }
    commit_to(state, &mut writer, batch)
}

/// Bytes that may still be written while the reserve is in use: the rest of its segment, and the
/// free room on the disk.
pub(super) fn left(state: &State, writer: &Writer) -> u64 {
    let allocated = writer.filled.saturating_sub(writer.tail);
    allocated.saturating_add(state.room())
}

/// Refuses all later batches if the log's files are gone.
pub(super) fn look(state: &State) {
    let is_there = state.writer().active.is_there() && state.is_manifest_there();
    if !is_there && !state.refuses_writes() {
        let _ = state.refuse(vanished());
    }
}

fn vanished() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "the directory of the store was removed or replaced",
    )
}

fn no_room() -> CommitError {
    CommitError::Full(io::ErrorKind::StorageFull.into())
}

fn commit_to(state: &State, writer: &mut Writer, batch: &[Change]) -> Result<(), CommitError> {
    check_limits(batch)?;
    let changes = last_changes(batch);
    if changes.is_empty() {
        return Ok(());
    }
    make_room(
        state,
        writer,
        changes.iter().map(|change| length(change)).sum(),
    )?;
    let records: Vec<Record<'_>> = changes
        .into_iter()
        .map(|change| record_of(state, change, writer))
        .collect();
    let offset = writer.tail;
    append(state, writer, &records)?;
    learn(writer, offset, &records);
    Ok(())
}

fn record_of<'a>(state: &State, change: &'a Change, writer: &Writer) -> Record<'a> {
    let segment = writer.active.number;
    let place = state.index.get(&change.key);
    let body = match &change.value {
        Some(value) => {
            let is_current = |base| {
                let older = place.filter(|place| place.sequence < change.sequence);
                older.is_some_and(|place| place.base_length(segment, base).is_some())
            };
            let id = state.directory.id;
            let patch = writer.bases.patch(&change.key, value, id, is_current);
            patch.map_or_else(|| Body::Value(value.clone()), Body::Patch)
        }
        None => Body::Tombstone(Range {
            first: place.map_or(segment, |place| place.first),
            origin: segment,
        }),
    };
    Record {
        key: &change.key,
        sequence: change.sequence,
        replaces: place.is_some(),
        body,
    }
}

/// Begins the next segment if these records would not fit into the present one. Call this before
/// [`append`].
pub(super) fn make_room(
    state: &State,
    writer: &mut Writer,
    length: u64,
) -> Result<(), CommitError> {
    if state.refuses_writes() {
        return Err(CommitError::Refused);
    }
    let end = writer
        .tail
        .saturating_add(BATCH_HEADER as u64)
        .saturating_add(length);
    if end <= writer.limit || writer.tail == SEGMENT_HEADER as u64 {
        return Ok(());
    }
    let next = begin(state, writer, Segment::create)?;
    let size = segment_bytes(&state.directory, &state.reserve, state.segments.live());
    *writer = Writer::at_end_of(next, SEGMENT_HEADER as u64, writer.most, size);
    Ok(())
}

/// Makes the reserve the next segment. The reserve's room is already allocated.
fn begin_reserve(state: &State, writer: &mut Writer) -> Result<(), CommitError> {
    state.reserve.spend();
    let next = begin(state, writer, Segment::of_reserve)?;
    let bytes = state.reserve.bytes();
    *writer = Writer::at_end_of(next, SEGMENT_HEADER as u64, writer.most, bytes);
    writer.filled = bytes;
    Ok(())
}

/// Ends the active segment and begins the next one.
fn begin(
    state: &State,
    writer: &mut Writer,
    create: impl FnOnce(&Directory, SegmentHeader) -> io::Result<Segment>,
) -> Result<Arc<Segment>, CommitError> {
    let sealed = &writer.active.file;
    // Zeros at the end have no meaning: cutting them off only saves room.
    if writer.filled > writer.tail && sealed.set_len(writer.tail).is_ok() {
        writer.filled = writer.tail;
    }
    // Only the newest segment may be torn.
    if writer.synced < writer.tail {
        sealed.sync().map_err(|error| state.refuse(error))?;
        writer.synced = writer.tail;
    }
    let number = writer.active.number.checked_add(1);
    let number = number.ok_or_else(|| CommitError::Write(io::ErrorKind::Other.into()))?;
    let header = SegmentHeader {
        segment: number,
        highest: state.highest_sequence(),
    };
    let next = create(&state.directory, header).map_err(CommitError::of_write)?;
    // Offsets in a segment have 32 bits.
    let sealed = Some((writer.active.number, writer.tail as u32));
    let named = state.change_names(|manifest| manifest.begin(number, sealed));
    if let Err(error) = named {
        // The manifest may name the segment although the write failed: then the segment stays.
        if !state.refuses_writes() {
            next.discard(&state.directory);
        }
        return Err(error);
    }
    let next = Arc::new(next);
    state.segments.insert(Arc::clone(&next));
    Ok(next)
}

/// Writes one batch, makes it as durable as configured, and applies it.
pub(super) fn append(
    state: &State,
    writer: &mut Writer,
    records: &[Record<'_>],
) -> Result<(), CommitError> {
    let position = Position {
        segment: writer.active.number,
        offset: writer.tail as u32,
        proof: writer.synced == writer.tail,
    };
    let layout = Layout::new(records, position, state.directory.id);
    let length = batch_length(records);
    let end = writer.tail.saturating_add(length);
    let synced = state.options.durability == Durability::Sync;
    let may_fill = synced && !state.reserve.is_in_use();
    let ahead = if may_fill && length <= AHEAD_UP_TO && end > writer.filled {
        writer.limit.saturating_sub(end).min(AHEAD_BYTES)
    } else {
        0
    };
    let mut written = write(writer, &layout, ahead);
    // A full disk may have room for the batch alone.
    if written.is_err() && ahead > 0 {
        cut_back(state, writer)?;
        written = write(writer, &layout, 0);
    }
    if let Err(error) = written {
        cut_back(state, writer)?;
        if error.kind() == io::ErrorKind::FileTooLarge {
            writer.most = writer.tail;
            writer.limit = writer.tail;
        }
        return Err(CommitError::of_write(error));
    }
    if synced {
        let begun = Instant::now();
        let result = writer.active.file.sync();
        if let Some(time) = state.sync_time.get() {
            time.record(begun.elapsed());
        }
        if let Err(error) = result {
            // The batch may be on disk or not. If the cut works, a process that opens the log
            // before the system crashes does not find the batch.
            let _ = writer.active.file.set_len(writer.tail);
            return Err(state.refuse(error));
        }
        // The disk is synced, but a start would not find this file.
        if !writer.active.is_there() {
            return Err(state.refuse(vanished()));
        }
        writer.synced = end;
    }
    let offset = writer.tail;
    writer.filled = writer.filled.max(end.saturating_add(ahead));
    writer.tail = end;
    writer.active.set_bytes(end);
    apply(state, &writer.active, offset, records);
    Ok(())
}

/// Makes the written records visible.
fn apply(state: &State, segment: &Segment, offset: u64, records: &[Record<'_>]) {
    for (offset, record) in offsets(offset, records) {
        let entered = Entered {
            key: record.key,
            sequence: record.sequence,
            offset,
            length: record.value_length() as u32,
            content: record.body.content(),
        };
        let known = enter(&state.index, &state.segments, segment, &entered);
        debug_assert!(known, "a patch of something else was written");
        state
            .highest
            .fetch_max(record.sequence.get(), Ordering::AcqRel);
    }
}

/// Cuts off all bytes after the last batch, durably. The failed batch may be complete except for
/// trailing zeros, but its committer gets an error.
fn cut_back(state: &State, writer: &mut Writer) -> Result<(), CommitError> {
    let file = &writer.active.file;
    let cut = file.set_len(writer.tail).and_then(|()| file.sync());
    writer.filled = writer.tail;
    cut.map_err(|error| state.refuse(error))
}

/// Records the bases of later patches after a batch was written at this offset.
fn learn(writer: &mut Writer, offset: u64, records: &[Record<'_>]) {
    for (offset, record) in offsets(offset, records) {
        let key = record.key;
        match &record.body {
            Body::Value(value) => writer.bases.keep(key, value, offset, record.replaces),
            Body::Patch(patch) => writer.bases.count(key, patch),
            Body::Tombstone(_) | Body::Hole(_) => writer.bases.forget(key),
        }
    }
}

/// Returns the records of a batch at this offset, with the offset of each.
fn offsets<'a, 'b>(
    batch: u64,
    records: &'a [Record<'b>],
) -> impl Iterator<Item = (u32, &'a Record<'b>)> {
    let mut next = batch.saturating_add(BATCH_HEADER as u64);
    records.iter().map(move |record| {
        let offset = next;
        next = next.saturating_add(record.length());
        (offset as u32, record)
    })
}

fn write(writer: &Writer, layout: &Layout, ahead: u64) -> io::Result<()> {
    let mut slices = layout.slices();
    slices.push(IoSlice::new(ZEROS.get(..ahead as usize).unwrap_or(&ZEROS)));
    write_all_at(&*writer.active.file, &mut slices, writer.tail)
}

fn check_limits(batch: &[Change]) -> Result<(), CommitError> {
    let mut all = 0_u64;
    for change in batch {
        let value = change.value.as_ref().map_or(0, bytes::Bytes::len);
        if change.key.len() > MAX_KEY_BYTES || value > MAX_VALUE_BYTES {
            return Err(CommitError::TooLarge);
        }
        all = all.saturating_add(length(change));
    }
    if all > MAX_BATCH_BYTES {
        return Err(CommitError::TooLarge);
    }
    Ok(())
}

/// Returns the last change of each key, in order.
fn last_changes(batch: &[Change]) -> Vec<&Change> {
    if batch.len() < 2 {
        return batch.iter().collect();
    }
    let mut last = HashMap::with_capacity(batch.len());
    for (number, change) in batch.iter().enumerate() {
        last.insert(&*change.key, number);
    }
    let changes = batch.iter().enumerate();
    changes
        .filter(|(number, change)| last.get(&*change.key) == Some(number))
        .map(|(_, change)| change)
        .collect()
}

/// Record length of a change.
fn length(change: &Change) -> u64 {
    let value = change.value.as_ref().map_or(RANGE, bytes::Bytes::len);
    record_length(change.key.len(), value as u64)
}
