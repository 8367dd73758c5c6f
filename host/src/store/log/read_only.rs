//! Read-only files, for a store that must not change. Where the disk can't read, zeros are read
//! instead: they match no record, so all records around them are found.

use super::files::{Files, LogFile, SystemFiles};
use std::any::Any;
use std::fs::{File, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The file system of this machine, without a way to change it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadOnlyFiles;

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Files for ReadOnlyFiles {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        SystemFiles.list(dir)
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn LogFile>> {
        refused()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(ReadOnlyFile(File::open(path)?)))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn room(&self, dir: &Path) -> u64 {
        SystemFiles.room(dir)
    }

    fn disk(&self, dir: &Path) -> u64 {
        SystemFiles.disk(dir)
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        SystemFiles.lock_dir(dir)
    }

    /// If the file is missing, the lock of the directory is the only one.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Box::new(()))),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Bytes that a disk reads, or fails to read, in one piece.
const SECTOR: usize = 4096;

struct ReadOnlyFile(File);

impl LogFile for ReadOnlyFile {
    fn is_at(&self, path: &Path) -> bool {
        self.0.is_at(path)
    }

    fn length(&self) -> io::Result<u64> {
        LogFile::length(&self.0)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        refused()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.0.read_exact_at(buffer, offset) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {}
            read => return read,
        }
        let mut offset = offset;
        for part in buffer.chunks_mut(SECTOR) {
            if self.0.read_exact_at(part, offset).is_err() {
                part.fill(0);
            }
            offset = offset.saturating_add(part.len() as u64);
        }
        Ok(())
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_at(buffer, offset).map(|()| true)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
