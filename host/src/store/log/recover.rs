//! Recovery of a log when it is opened.

use super::api::{Cut, Options, Recovered};
use super::directory::Directory;
use super::enter::{Entered, enter};
use super::error::OpenError;
use super::files::Files;
use super::format::{Names, SEGMENT_HEADER, SegmentHeader, SegmentNumber};
use super::index::Index;
use super::manifest::{Manifest, ManifestError};
use super::reserve::Reserve;
use super::scan::{Depth, Piece, Scanned, Scanner};
use super::segments::{Segment, Segments, is_unused, read_segment_header, segment_bytes};
use super::snapshot::Pins;
use super::state::{State, Writer};
use crate::store::ChangeNumber;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

/// Offsets in a segment have 32 bits, and a batch may pass its end.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// Opens the log in a directory, or begins a new one; see [`Log::open`](super::Log::open).
pub(super) fn open(
    dir: &Path,
    files: Arc<dyn Files>,
    mut options: Options,
) -> Result<(State, Recovered), OpenError> {
    options.segment_bytes = options.segment_bytes.min(MAX_SEGMENT_BYTES);
    let directory = Directory::open(dir, files)?;
    let manifest = match directory.has_manifest() {
        true => {
            let manifest = directory.manifest().map_err(io_at(dir))?;
            let missing = || OpenError::NoManifest(dir.to_owned());
            Some(manifest.ok_or_else(missing)?)
        }
        false => None,
    };
    let reserve = Reserve::open(dir, &*directory.files).map_err(io_at(dir))?;
    let mut opening = Opening {
        directory,
        reserve,
        manifest,
        index: Index::new(),
        segments: Segments::default(),
        segment_bytes: options.segment_bytes,
        highest: ChangeNumber::default(),
        damaged: Vec::new(),
        found: Recovered::default(),
    };
    let writer = opening.run()?;
    let manifest = match opening.manifest {
        Some(manifest) => manifest,
        // Upgrade only after the store is known to be intact, and before anything is written that
        // older versions can't read.
        None => {
            let names = names(&opening.segments, writer.active.number);
            opening.directory.upgrade(names)?
        }
    };
    let state = State {
        directory: opening.directory,
        reserve: opening.reserve,
        manifest: Mutex::new(manifest),
        options,
        index: opening.index,
        segments: opening.segments,
        pins: Pins::default(),
        writer: Mutex::new(writer),
        compaction: Mutex::default(),
        highest: AtomicU64::new(opening.highest.get()),
        refuses: AtomicBool::new(false),
        sync_time: OnceLock::new(),
    };
    Ok((state, opening.found))
}

/// Names of the segments of a store without a manifest.
fn names(segments: &Segments, active: SegmentNumber) -> Names {
    let mut names = Names::default();
    for segment in segments.all() {
        // Offsets in a segment have 32 bits.
        let length = segment.bytes() as u32;
        names.add(segment.number, (segment.number != active).then_some(length));
    }
    names
}

/// A log that is being opened.
struct Opening {
    directory: Directory,
    reserve: Reserve,
    /// The manifest. `None` in a store of an older version.
    manifest: Option<Manifest>,
    index: Index,
    segments: Segments,
    segment_bytes: u64,
    highest: ChangeNumber,
    /// Damaged values: keys and places of their records.
    damaged: Vec<(Box<str>, SegmentNumber, u32)>,
    found: Recovered,
}

/// A segment with a valid header.
struct Headed {
    segment: Arc<Segment>,
    len: u64,
}

impl Opening {
    fn run(&mut self) -> Result<Writer, OpenError> {
        let path = self.directory.path.clone();
        let found = self.directory.segments().map_err(io_at(&path))?;
        let (numbers, left) = self.named(found)?;
        let mut headed = Vec::with_capacity(numbers.len());
        for number in &numbers {
            // A manifest names only complete segments.
            let newest = self.manifest.is_none() && numbers.last() == Some(number);
            headed.extend(self.read_header(*number, newest)?);
        }
        // A file that a killed process removed must not come back if the system crashes now.
        let files = &self.directory.files;
        files.sync_dir(&path).map_err(io_at(&path))?;
        // A segment is begun before it is needed, so the newest ones may be empty. The last write
        // went to the newest segment that is not empty.
        let mut torn_from = headed.len().saturating_sub(1);
        while self.manifest.is_none() && torn_from > 0 && self.is_empty(&headed[torn_from])? {
            torn_from = torn_from.saturating_sub(1);
        }
        let mut tail = SEGMENT_HEADER as u64;
        for (number, headed) in headed.iter().enumerate() {
            tail = self.read_segment(headed, number >= torn_from)?;
        }
        for file in left {
            let files = &self.directory.files;
            files.remove(&file).map_err(io_at(&file))?;
        }
        self.found.damaged = self.unreadable();
        self.found.keys = self.index.len();
        self.found.segments = headed.len() as u64;
        self.found.lacks_reserve = self.reserve.is_in_use();
        match headed.pop() {
            Some(newest) => {
                let live = self.segments.live();
                let size = segment_bytes(&self.directory, &self.reserve, live);
                let mut writer = Writer::at_end_of(newest.segment, tail, self.segment_bytes, size);
                if self.found.cuts.is_empty() {
                    writer.filled = newest.len.max(tail);
                    // A reserve that became a segment may be larger than the limit.
                    writer.limit = writer.limit.max(writer.filled).min(writer.most);
                }
                Ok(writer)
            }
            None => self.begin(),
        }
    }

    /// Separates the segments of the store from files to be removed. Without a manifest, every
    /// segment found belongs to the store.
    fn named(
        &self,
        found: Vec<SegmentNumber>,
    ) -> Result<(Vec<SegmentNumber>, Vec<PathBuf>), OpenError> {
        let Some(manifest) = &self.manifest else {
            return Ok((found, Vec::new()));
        };
        let names = manifest.names();
        let mut left = Vec::new();
        for number in &found {
            let file = self.directory.segment_path(*number);
            if *number > names.newest() && !self.is_unused(*number, &file)? {
                let directory = self.directory.path.clone();
                return Err(OpenError::Unnamed { directory, file });
            }
            if !names.has(*number) {
                left.push(file);
            }
        }
        let missing = names.numbers().find(|number| !found.contains(number));
        match missing {
            None => Ok((names.numbers().collect(), left)),
            Some(number) => Err(OpenError::Hole {
                directory: self.directory.path.clone(),
                file: self.directory.segment_path(number),
            }),
        }
    }

    /// Whether a file has no batch after the header of its segment.
    fn is_unused(&self, number: SegmentNumber, path: &Path) -> Result<bool, OpenError> {
        let file = self.directory.files.open(path).map_err(io_at(path))?;
        is_unused(&*file, self.directory.id, number).map_err(io_at(path))
    }

    /// Creates the first segment.
    fn begin(&mut self) -> Result<Writer, OpenError> {
        let header = SegmentHeader {
            segment: 1,
            highest: self.highest,
        };
        let path = self.directory.segment_path(header.segment);
        let segment = Segment::create(&self.directory, header).map_err(io_at(&path))?;
        if let Some(manifest) = &mut self.manifest {
            let named = manifest.begin(header.segment, None);
            named.map_err(|error| match error {
                ManifestError::Unchanged(error) | ManifestError::Unknown(error) => {
                    io_at(&path)(error)
                }
            })?;
        }
        let segment = Arc::new(segment);
        self.segments.insert(Arc::clone(&segment));
        let tail = SEGMENT_HEADER as u64;
        let size = segment_bytes(&self.directory, &self.reserve, 0);
        Ok(Writer::at_end_of(segment, tail, self.segment_bytes, size))
    }

    /// Opens a segment. If its creation was interrupted, removes the file and returns `None`.
    fn read_header(
        &mut self,
        number: SegmentNumber,
        newest: bool,
    ) -> Result<Option<Headed>, OpenError> {
        let path = self.directory.segment_path(number);
        let file = self.directory.files.open(&path).map_err(io_at(&path))?;
        let len = file.length().map_err(io_at(&path))?;
        let header = read_segment_header(&*file, len).map_err(io_at(&path))?;
        let header = SegmentHeader::decode(&header, self.directory.id);
        if let Some(header) = header.filter(|header| header.segment == number) {
            self.highest = self.highest.max(header.highest);
            let segment = Arc::new(Segment::new(number, path, file));
            self.segments.insert(Arc::clone(&segment));
            return Ok(Some(Headed { segment, len }));
        }
        // The header is synced before anything follows it.
        if !newest || len > SEGMENT_HEADER as u64 {
            return Err(self.damaged(path, 0));
        }
        let files = &self.directory.files;
        files.remove(&path).map_err(io_at(&path))?;
        self.found.cuts.push(Cut {
            file: path,
            offset: 0,
            bytes: len,
        });
        Ok(None)
    }

    fn scanner<'a>(&self, headed: &'a Headed) -> Scanner<'a> {
        let segment = &headed.segment;
        Scanner::new(
            &*segment.file,
            self.directory.id,
            segment.number,
            headed.len,
        )
    }

    fn is_empty(&self, headed: &Headed) -> Result<bool, OpenError> {
        let piece = self
            .scanner(headed)
            .piece(SEGMENT_HEADER as u64, Depth::Headers)
            .map_err(io_at(&headed.segment.path))?;
        Ok(matches!(piece, Piece::End))
    }

    /// Enters the records of a segment into the index and returns where they end. A segment that
    /// may be torn is read in full.
    fn read_segment(&mut self, headed: &Headed, may_be_torn: bool) -> Result<u64, OpenError> {
        let segment = &headed.segment;
        let io = io_at(&segment.path);
        let depth = if may_be_torn {
            Depth::Values
        } else {
            Depth::Headers
        };
        let mut scanner = self.scanner(headed);
        let mut offset = SEGMENT_HEADER as u64;
        loop {
            match scanner.piece(offset, depth).map_err(&io)? {
                Piece::Batch { records, end }
                    if self.counts(&mut scanner, offset, &records).map_err(&io)? =>
                {
                    let damaged = records.iter().filter(|record| record.damaged);
                    self.damaged.extend(damaged.map(|record| {
                        let key = record.key.clone();
                        (key, segment.number, record.offset)
                    }));
                    for record in &records {
                        if !self.enter(segment, record) {
                            return Err(self.damaged(segment.path.clone(), offset));
                        }
                    }
                    offset = end;
                }
                Piece::End => break,
                Piece::Batch { .. } | Piece::Invalid => {
                    if !may_be_torn || scanner.is_proof_after(offset).map_err(&io)? {
                        return Err(self.damaged(segment.path.clone(), offset));
                    }
                    segment.file.set_len(offset).map_err(&io)?;
                    self.found.cuts.push(Cut {
                        file: segment.path.clone(),
                        offset,
                        bytes: headed.len.saturating_sub(offset),
                    });
                    break;
                }
            }
        }
        let sealed = self.manifest.as_ref();
        let sealed = sealed.and_then(|manifest| manifest.names().length(segment.number));
        if sealed.is_some_and(|length| u64::from(length) != offset) {
            return Err(self.damaged(segment.path.clone(), offset));
        }
        if may_be_torn {
            // Reads serve these records from here on, and later batches claim that they are on the
            // disk.
            segment.file.sync().map_err(&io)?;
        }
        segment.set_bytes(offset);
        Ok(offset)
    }

    /// Keys with a current value that is damaged, or is a patch of a damaged one.
    fn unreadable(&self) -> Vec<Box<str>> {
        let rests_on = |segment, offset, key: &str| {
            let place = self.index.get(key)?;
            let rests = place.segment == segment && place.offset == offset;
            Some(rests || place.base_length(segment, offset).is_some())
        };
        let damaged = self.damaged.iter();
        let mut keys: Vec<_> = damaged
            .filter(|(key, segment, offset)| rests_on(*segment, *offset, key) == Some(true))
            .map(|(key, ..)| key.clone())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a batch counts as written. A damaged value makes only its own key unreadable if a
    /// later batch proves that this one was synced. Otherwise the batch may be the write that a
    /// crash interrupted.
    fn counts(
        &self,
        scanner: &mut Scanner<'_>,
        offset: u64,
        records: &[Scanned],
    ) -> io::Result<bool> {
        let damaged = records.iter().any(|record| record.damaged);
        Ok(!damaged || scanner.is_proof_after(offset)?)
    }

    /// Enters a record into the index. Returns whether the record is valid at this point of the
    /// log.
    fn enter(&mut self, segment: &Segment, record: &Scanned) -> bool {
        self.highest = self.highest.max(record.sequence);
        let record = Entered {
            key: &record.key,
            sequence: record.sequence,
            offset: record.offset,
            length: record.length,
            content: record.content,
        };
        enter(&self.index, &self.segments, segment, &record)
    }

    fn damaged(&self, file: PathBuf, offset: u64) -> OpenError {
        OpenError::Damaged {
            directory: self.directory.path.clone(),
            file,
            offset,
        }
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        path: path.clone(),
        source,
    }
}
