//! A file system in memory that fails and crashes at the points that a test chooses.
//!
//! It guarantees less than a disk must. After a [`crash`](FaultyFiles::crash) each sector of a file
//! independently has its state of the last sync or after any later write. Any name change since the
//! last sync of the directory may be undone.

use super::files::{Files, LogFile};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// Operation that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Creating a file.
    Create,
    /// Writing.
    Write,
    /// Truncating a file.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Removing a file.
    Remove,
    /// Renaming a file.
    Rename,
    /// Reading.
    Read,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The operation fails with this error, before anything is done.
    Error(ErrorKind),
    /// A write stores this many bytes, and its rest fails with the error.
    Short(usize, ErrorKind),
}

/// The file system. Clones share one disk.
#[derive(Clone, Default)]
pub(crate) struct FaultyFiles {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    names: BTreeMap<PathBuf, usize>,
    /// The names at the last sync of the directory. `renames` holds the later changes.
    durable_names: BTreeMap<PathBuf, usize>,
    renames: Vec<NameChange>,
    files: Vec<Content>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    /// Number of open handles of each file. A removed file takes room until the last one is closed.
    handles: BTreeMap<usize, usize>,
    /// The fault of the nth operation of a kind from now on.
    planned: Vec<(Operation, u64, Fault)>,
    /// Largest total size of all files.
    room: Option<u64>,
    /// Whether `room` is the known size of the whole disk.
    sized: bool,
    /// Number of changing operations until the crash.
    until_crash: Option<u64>,
    /// Number of changing operations so far.
    changes: u64,
    not_resident: bool,
    /// Action before the nth read from now on.
    interleaved: Option<(u64, Box<dyn FnOnce() + Send>)>,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// States of a file: at its last sync, and after each later write.
#[derive(Clone)]
struct Content {
    states: Vec<Vec<u8>>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            states: vec![Vec::new()],
        }
    }
}

impl Content {
    fn live(&self) -> &Vec<u8> {
        self.states.last().unwrap_or(const { &Vec::new() })
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.live().clone();
        change(&mut state);
        self.states.push(state);
    }

    fn sync(&mut self) {
        self.states = vec![self.live().clone()];
    }

    fn crashed(&self, random: &mut Random) -> Vec<u8> {
        let synced = self.states.first().unwrap_or(const { &Vec::new() });
        match random.below(4) {
            0 => return synced.clone(),
            1 => return self.live().clone(),
            _ => {}
        }
        let mut image = vec![0; self.states[random.below(self.states.len())].len()];
        for (number, sector) in image.chunks_mut(SECTOR).enumerate() {
            let state = &self.states[random.below(self.states.len())];
            let from = (number * SECTOR).min(state.len());
            let held = &state[from..state.len().min(from + sector.len())];
            sector[..held.len()].copy_from_slice(held);
        }
        image
    }
}

/// A pseudo-random sequence, determined by its seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below a limit.
    pub(crate) const fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }
}

impl Disk {
    /// Counts an operation. Fails if a fault was planned, or after the crash.
    fn begin(&mut self, operation: Operation) -> io::Result<Option<(usize, ErrorKind)>> {
        if operation != Operation::Read {
            self.changes += 1;
            match &mut self.until_crash {
                Some(0) => return Err(io::Error::other("the system has crashed")),
                Some(left) => *left -= 1,
                None => {}
            }
        }
        let mut due = None;
        for (kind, left, fault) in &mut self.planned {
            if *kind == operation && *left > 0 {
                *left -= 1;
                if *left == 0 {
                    due = Some(*fault);
                }
            }
        }
        match due {
            None => Ok(None),
            Some(Fault::Error(kind)) => Err(kind.into()),
            Some(Fault::Short(bytes, kind)) => Ok(Some((bytes, kind))),
        }
    }

    /// Whether the current operation is the last one before the crash.
    fn is_last(&self) -> bool {
        self.until_crash == Some(0)
    }

    fn used(&self) -> u64 {
        let named = self.names.values().copied();
        let there: BTreeSet<usize> = named.chain(self.handles.keys().copied()).collect();
        there
            .iter()
            .map(|file| self.files[*file].live().len() as u64)
            .sum()
    }
}

impl FaultyFiles {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a fault of the nth operation of this kind from now on.
    pub(crate) fn fail(&self, operation: Operation, nth: u64, fault: Fault) {
        self.disk().planned.push((operation, nth, fault));
    }

    /// Drops all planned faults, and the limit of room.
    pub(crate) fn heal(&self) {
        let mut disk = self.disk();
        disk.planned.clear();
        disk.room = None;
    }

    /// Leaves room for this many more bytes.
    pub(crate) fn leave_room(&self, bytes: u64) {
        let mut disk = self.disk();
        disk.room = Some(disk.used() + bytes);
    }

    /// Limits the whole disk to this many bytes.
    pub(crate) fn limit_disk(&self, bytes: u64) {
        let mut disk = self.disk();
        disk.room = Some(bytes);
        disk.sized = true;
    }

    /// Plans a crash after this many changing operations. The last operation may be partial, and
    /// all later ones fail.
    pub(crate) fn crash_after(&self, operations: u64) {
        self.disk().until_crash = Some(operations);
    }

    /// Runs an action just before the nth read from now on.
    pub(crate) fn before_read(&self, nth: u64, action: impl FnOnce() + Send + 'static) {
        self.disk().interleaved = Some((nth, Box::new(action)));
    }

    fn interleave(&self) {
        let due = {
            let mut disk = self.disk();
            if let Some((left, _)) = &mut disk.interleaved {
                *left -= 1;
            }
            disk.interleaved.take_if(|(left, _)| *left == 0)
        };
        if let Some((_, action)) = due {
            action();
        }
    }

    /// Number of changing operations so far.
    #[must_use]
    pub(crate) fn changes(&self) -> u64 {
        self.disk().changes
    }

    /// Makes every value count as not in memory.
    pub(crate) fn evict(&self) {
        self.disk().not_resident = true;
    }

    /// Returns a possible disk after a power failure now. The seed chooses among the possible ones.
    #[must_use]
    pub(crate) fn crash(&self, seed: u64) -> Self {
        let disk = self.disk();
        let random = &mut Random::new(seed);
        let files = disk.files.iter().map(|file| Content {
            states: vec![file.crashed(random)],
        });
        let files = files.collect();
        let mut names = disk.durable_names.clone();
        let all = random.below(2) == 0;
        for change in &disk.renames {
            if !all && random.below(2) == 0 {
                continue;
            }
            match change.clone() {
                NameChange::Link(path, file) => drop(names.insert(path, file)),
                NameChange::Unlink(path) => drop(names.remove(&path)),
                NameChange::Rename(from, to) => {
                    if let Some(file) = names.remove(&from) {
                        names.insert(to, file);
                    }
                }
            }
        }
        Self {
            disk: Arc::new(Mutex::new(Disk {
                durable_names: names.clone(),
                names,
                files,
                dirs: disk.dirs.clone(),
                ..Disk::default()
            })),
        }
    }

    /// Returns the file system after the process is killed now. All of its operations remain.
    #[must_use]
    pub(crate) fn kill(&self) -> Self {
        let disk = self.disk();
        Self {
            disk: Arc::new(Mutex::new(Disk {
                names: disk.names.clone(),
                durable_names: disk.durable_names.clone(),
                renames: disk.renames.clone(),
                files: disk.files.clone(),
                dirs: disk.dirs.clone(),
                ..Disk::default()
            })),
        }
    }

    /// The bytes of a file.
    #[must_use]
    pub(crate) fn contents(&self, path: &Path) -> Vec<u8> {
        let disk = self.disk();
        let file = disk.names.get(path);
        file.map(|file| disk.files[*file].live().clone())
            .unwrap_or_default()
    }

    /// Puts a file on the disk, durably.
    pub(crate) fn put(&self, path: &Path, contents: Vec<u8>) {
        let mut disk = self.disk();
        let file = disk.files.len();
        disk.files.push(Content {
            states: vec![contents],
        });
        disk.names.insert(path.to_owned(), file);
        disk.durable_names.insert(path.to_owned(), file);
        disk.dirs.extend(path.parent().map(Path::to_owned));
    }
}

impl Files for FaultyFiles {
    fn room(&self, _: &Path) -> u64 {
        let disk = self.disk();
        disk.room.map_or(0, |room| room.saturating_sub(disk.used()))
    }

    fn disk(&self, _: &Path) -> u64 {
        let disk = Self::disk(self);
        disk.room.filter(|_| disk.sized).unwrap_or(0)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        Self::disk(self).dirs.insert(dir.to_owned());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        if !disk.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let names = disk.names.keys().filter(|path| path.parent() == Some(dir));
        let names = names.filter_map(|path| path.file_name());
        Ok(names
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut disk = self.disk();
        disk.begin(Operation::Create)?;
        let file = if let Some(file) = disk.names.get(path).copied() {
            disk.files[file].change(Vec::clear);
            file
        } else {
            let file = disk.files.len();
            disk.files.push(Content::default());
            disk.names.insert(path.to_owned(), file);
            disk.renames.push(NameChange::Link(path.to_owned(), file));
            file
        };
        drop(disk);
        Ok(self.handle(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = self.disk().names.get(path).copied();
        Ok(self.handle(file.ok_or(ErrorKind::NotFound)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.begin(Operation::Rename)?;
        let file = disk.names.remove(from).ok_or(ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), file);
        disk.renames
            .push(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.begin(Operation::Remove)?;
        disk.names.remove(path).ok_or(ErrorKind::NotFound)?;
        disk.renames.push(NameChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.begin(Operation::SyncDir)?;
        if !disk.is_last() {
            disk.durable_names = disk.names.clone();
            disk.renames.clear();
        }
        Ok(())
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let free = Self::disk(self).locks.insert(dir.to_owned());
        Ok(free.then(|| -> Box<dyn Any + Send + Sync> {
            Box::new(Lock {
                files: self.clone(),
                path: dir.to_owned(),
            })
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut disk = self.disk();
        if !disk.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let file = disk.files.len();
        disk.files.push(Content::default());
        disk.names.entry(path.to_owned()).or_insert(file);
        Ok(Some(Box::new(Lock {
            files: self.clone(),
            path: path.to_owned(),
        })))
    }
}

impl FaultyFiles {
    fn handle(&self, file: usize) -> Arc<dyn LogFile> {
        *self.disk().handles.entry(file).or_default() += 1;
        Arc::new(Handle {
            files: self.clone(),
            file,
        })
    }
}

struct Lock {
    files: FaultyFiles,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.files.disk().locks.remove(&self.path);
    }
}

struct Handle {
    files: FaultyFiles,
    file: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut disk = self.files.disk();
        if let Some(count) = disk.handles.get_mut(&self.file) {
            *count -= 1;
            if *count == 0 {
                disk.handles.remove(&self.file);
            }
        }
    }
}

impl LogFile for Handle {
    fn is_at(&self, path: &Path) -> bool {
        self.files.disk().names.get(path) == Some(&self.file)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.files.disk().files[self.file].live().len() as u64)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut disk = self.files.disk();
        let short = disk.begin(Operation::Write)?;
        let mut bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let wanted = bytes.len();
        let offset = offset as usize;
        if let Some((length, kind)) = short {
            bytes.truncate(length);
            disk.planned.push((Operation::Write, 1, Fault::Error(kind)));
        }
        if disk.is_last() {
            bytes.truncate(wanted / 2);
        }
        if let Some(room) = disk.room {
            let len = disk.files[self.file].live().len();
            let free = room.saturating_sub(disk.used()) as usize;
            bytes.truncate((len + free).saturating_sub(offset));
            if bytes.is_empty() && wanted > 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let end = offset + bytes.len();
        disk.files[self.file].change(|content| {
            content.resize(content.len().max(end), 0);
            content[offset..end].copy_from_slice(&bytes);
        });
        Ok(bytes.len())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.files.disk();
        disk.begin(Operation::Write)?;
        let held = disk.files[self.file].live().len() as u64;
        let room = disk.room.map(|room| room.saturating_sub(disk.used()));
        if room.is_some_and(|room| room < len.saturating_sub(held)) {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.files[self.file].change(|content| content.resize(len as usize, 0));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.files.interleave();
        let mut disk = self.files.disk();
        disk.begin(Operation::Read)?;
        let offset = offset as usize;
        let end = offset.saturating_add(buffer.len());
        let held = disk.files[self.file].live().get(offset..end);
        buffer.copy_from_slice(held.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        if self.files.disk().not_resident {
            return Ok(false);
        }
        self.read_at(buffer, offset)?;
        Ok(true)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.files.disk();
        disk.begin(Operation::SetLen)?;
        disk.files[self.file].change(|content| content.resize(len as usize, 0));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.files.disk();
        disk.begin(Operation::Sync)?;
        // The last sync before a crash may be incomplete.
        if disk.is_last() {
            return Err(io::Error::other("the system has crashed"));
        }
        disk.files[self.file].sync();
        Ok(())
    }
}
