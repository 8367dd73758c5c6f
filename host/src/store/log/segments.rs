//! The segments of a log, and the live bytes in each.

use super::directory::Directory;
use super::error::ReadError;
use super::files::{LogFile, write_all_at};
use super::format::{Range, SEGMENT_HEADER, SegmentHeader, SegmentNumber, StoreId};
use super::reserve::{RESERVE, Reserve};
use super::scan::{Depth, Piece, Scanner};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// The length limit of a segment is the largest of three values: this part of the live bytes, this
/// part of the free room, and this many bytes. So the room that a store needs is in proportion to
/// its data, or is small against the free room. Each new segment costs several syncs: with 4 MiB
/// segments, 64 busy streams of 16 KiB begin one every 20 ms, and one append in a hundred waits for
/// that.
const SEGMENT_PART: u64 = 4;
const ROOM_PART: u64 = 64;
const SMALL_SEGMENT: u64 = 4 << 20;

/// One segment. Its holder can go on reading after the file is removed.
pub(super) struct Segment {
    pub(super) number: SegmentNumber,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn LogFile>,
    /// Length up to the end of the last batch.
    bytes: AtomicU64,
    /// Bytes of the records in the index.
    live: AtomicU64,
    /// Bytes of tombstones by their range. There are few ranges, since most keys live in few
    /// segments.
    tombstones: Mutex<BTreeMap<Range, u64>>,
    /// Whether compaction must leave the file alone, since a live record could not be read or
    /// moved.
    pub(super) keep: AtomicBool,
}

impl Segment {
    pub(super) fn new(number: SegmentNumber, path: PathBuf, file: Arc<dyn LogFile>) -> Self {
        Self {
            number,
            path,
            file,
            bytes: AtomicU64::new(SEGMENT_HEADER as u64),
            live: AtomicU64::new(0),
            tombstones: Mutex::default(),
            keep: AtomicBool::new(false),
        }
    }

    /// Creates an empty segment, durably. The next attempt overwrites the rest of a failed one.
    pub(super) fn create(directory: &Directory, header: SegmentHeader) -> io::Result<Self> {
        let path = directory.segment_path(header.segment);
        let created = directory.files.create(&path).and_then(|file| {
            let bytes = header.encode(directory.id);
            write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
            file.sync()?;
            directory.files.sync_dir(&directory.path)?;
            Ok(file)
        });
        match created {
            Ok(file) => Ok(Self::new(header.segment, path, file)),
            Err(error) => {
                discard(directory, &path);
                Err(error)
            }
        }
    }

    /// Turns the reserve into an empty segment, durably.
    pub(super) fn of_reserve(directory: &Directory, header: SegmentHeader) -> io::Result<Self> {
        let path = directory.segment_path(header.segment);
        let files = &directory.files;
        files.rename(&directory.path.join(RESERVE), &path)?;
        let file = files.open(&path).and_then(|file| {
            let bytes = header.encode(directory.id);
            write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
            file.sync()?;
            files.sync_dir(&directory.path)?;
            Ok(file)
        });
        match file {
            Ok(file) => Ok(Self::new(header.segment, path, file)),
            Err(error) => {
                discard(directory, &path);
                Err(error)
            }
        }
    }

    /// Removes an empty segment that the manifest does not name.
    pub(super) fn discard(self, directory: &Directory) {
        discard(directory, &self.path);
    }

    /// Whether the file still has its name.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_at(&self.path)
    }

    /// The error of a damaged record at this offset.
    pub(super) fn damaged(&self, offset: u64) -> ReadError {
        ReadError::Damaged {
            file: self.path.clone(),
            offset,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::Relaxed)
    }

    pub(super) fn add_live(&self, bytes: u64) {
        self.live.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn remove_live(&self, bytes: u64) {
        self.live.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn tombstones(&self) -> MutexGuard<'_, BTreeMap<Range, u64>> {
        let tombstones = self.tombstones.lock();
        tombstones.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_tombstone(&self, range: Range, bytes: u64) {
        let mut tombstones = self.tombstones();
        let sum = tombstones.entry(range).or_default();
        *sum = sum.saturating_add(bytes);
    }
}

fn discard(directory: &Directory, path: &Path) {
    // The removal is optional: when a log is opened, empty unnamed segments are removed.
    let _ = directory.files.remove(path);
}

type Table = BTreeMap<SegmentNumber, Arc<Segment>>;

/// All segments.
#[derive(Default)]
pub(super) struct Segments {
    table: RwLock<Table>,
}

impl Segments {
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, number: SegmentNumber) -> Option<Arc<Segment>> {
        self.table().get(&number).cloned()
    }

    /// All segments, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Segment>> {
        self.table().values().cloned().collect()
    }

    /// Bytes of all records in the index.
    pub(super) fn live(&self) -> u64 {
        self.table().values().map(|segment| segment.live()).sum()
    }

    pub(super) fn insert(&self, segment: Arc<Segment>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(segment.number, segment);
    }

    pub(super) fn remove(&self, number: SegmentNumber) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.remove(&number);
    }

    /// Whether a tombstone in a segment is live: another segment may hold a record that it
    /// supersedes.
    pub(super) fn needs(&self, range: Range, holder: SegmentNumber) -> bool {
        let span = range.first..=range.origin.max(range.first);
        self.table()
            .range(span)
            .any(|(number, _)| *number != holder)
    }

    /// Bytes of live tombstones in a segment.
    pub(super) fn needed_tombstones(&self, segment: &Segment) -> u64 {
        let tombstones = segment.tombstones();
        tombstones
            .iter()
            .filter(|(range, _)| self.needs(**range, segment.number))
            .map(|(_, bytes)| *bytes)
            .sum()
    }
}

/// Length limit of a segment in a store with this many live bytes.
pub(super) fn segment_bytes(directory: &Directory, reserve: &Reserve, live: u64) -> u64 {
    if reserve.bytes() > 0 && reserve.bytes() < 2 * SMALL_SEGMENT {
        // On a full disk, a reserve of twice this size has room for the live records of a segment.
        return reserve.bytes() / 2;
    }
    let room = directory.files.room(&directory.path) / ROOM_PART;
    SMALL_SEGMENT.max(live / SEGMENT_PART).max(room)
}

/// Whether a file has no batch after the header of its segment.
pub(super) fn is_unused(
    file: &dyn LogFile,
    id: StoreId,
    number: SegmentNumber,
) -> io::Result<bool> {
    let length = file.length()?;
    let mut scanner = Scanner::new(file, id, number, length);
    let piece = scanner.piece(SEGMENT_HEADER as u64, Depth::Headers)?;
    Ok(matches!(piece, Piece::End))
}

/// Reads the bytes of a segment's header, as far as the file has them.
pub(super) fn read_segment_header(file: &dyn LogFile, len: u64) -> io::Result<Vec<u8>> {
    let mut header = vec![0; len.min(SEGMENT_HEADER as u64) as usize];
    file.read_at(&mut header, 0)?;
    Ok(header)
}
