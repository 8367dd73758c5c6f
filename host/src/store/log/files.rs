//! The only way from the log to the file system.

#[cfg(target_os = "linux")]
use super::direct::Direct;
use std::any::Any;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// Most slices that the system takes in one call.
const MAX_SLICES: usize = 1024;

/// Only the server's user may read streams.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// File system operations of a log. Names are durable only after [`sync_dir`](Self::sync_dir).
pub(crate) trait Files: Send + Sync {
    /// Creates a directory and its missing parents, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Lists the names in a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a file, or empties it.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Opens an existing file.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// Opens a file to read it past the memory of the system, where that can be done.
    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        self.open(path)
    }
    /// Renames a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; existing handles can still read it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Returns the free bytes below a directory; 0 where the system can't tell.
    fn room(&self, dir: &Path) -> u64;
    /// Returns the size of the disk that a directory is on; 0 where the system can't tell.
    fn disk(&self, dir: &Path) -> u64;
    /// Locks a directory against other processes until the returned guard is dropped. Returns
    /// `None` if another process has the lock. Where the file system can't lock directories, this
    /// returns a guard without a lock.
    fn lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// Locks a file against other processes until the returned guard is dropped. Returns `None` if
    /// another process has the lock.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}

/// An open file.
pub(crate) trait LogFile: Send + Sync {
    /// Whether the file still has this name.
    fn is_at(&self, path: &Path) -> bool;
    /// Returns the file's length.
    fn length(&self) -> io::Result<u64>;
    /// Writes a prefix of the slices. Returns the number of bytes written.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Fills the buffer; a file that ends before is [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Fills the buffer if that takes no waiting for the disk. Returns whether it did.
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool>;
    /// Extends the file with zeros, and allocates their room on the disk.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts the file off, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes written bytes durable.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of the slices.
pub(crate) fn write_all_at(
    file: &dyn LogFile,
    mut slices: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    // Leading empty slices would look like a write without progress.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_at(slices, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut slices, written);
                offset = offset.saturating_add(written as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes this many zeros from the start of the file.
fn write_zeros(file: &dyn LogFile, len: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut offset = 0_u64;
    while offset < len {
        let piece = zeros.get(..len.saturating_sub(offset).min(1 << 20) as usize);
        let piece = piece.unwrap_or(&zeros);
        write_all_at(file, &mut [IoSlice::new(piece)], offset)?;
        offset = offset.saturating_add(piece.len() as u64);
    }
    Ok(())
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemFiles;

impl Files for SystemFiles {
    fn room(&self, dir: &Path) -> u64 {
        let stat = rustix::fs::statvfs(dir);
        // File systems keep blocks for the superuser, and count them as free but not as available.
        let is_superuser = rustix::process::geteuid().is_root();
        stat.map_or(0, |stat| {
            let blocks = if is_superuser {
                stat.f_bfree
            } else {
                stat.f_bavail
            };
            blocks.saturating_mul(stat.f_frsize)
        })
    }

    fn disk(&self, dir: &Path) -> u64 {
        let stat = rustix::fs::statvfs(dir);
        stat.map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = match dir.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return DirBuilder::new().mode(PRIVATE_DIR).create(dir),
        };
        self.create_dir(parent)?;
        DirBuilder::new().mode(PRIVATE_DIR).create(dir)?;
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(PRIVATE_FILE)
            .open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = File::options().read(true).write(true).open(path)?;
        // Older versions made files that all users could read. The file may belong to another user,
        // so a failure is ignored.
        let _ = file.set_permissions(Permissions::from_mode(PRIVATE_FILE));
        Ok(Arc::new(file))
    }

    #[cfg(target_os = "linux")]
    fn open_direct(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        match Direct::open(path)? {
            Some(file) => Ok(Arc::new(file)),
            None => self.open(path),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE_FILE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let handle = File::open(dir)?;
        match handle.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Box::new(handle))),
        }
    }
}

#[cfg(target_os = "linux")]
impl LogFile for Direct {
    fn is_at(&self, path: &Path) -> bool {
        self.file.is_at(path)
    }

    fn length(&self) -> io::Result<u64> {
        LogFile::length(&self.file)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        Self::read_at(self, buffer, offset)
    }

    fn read_resident_at(&self, _: &mut [u8], _: u64) -> io::Result<bool> {
        Ok(false)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl LogFile for File {
    fn is_at(&self, path: &Path) -> bool {
        let named = fs::metadata(path);
        let same = |named: fs::Metadata| {
            let held = self.metadata()?;
            Ok::<_, io::Error>(held.ino() == named.ino() && held.dev() == named.dev())
        };
        named.and_then(same).unwrap_or(false)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let some = slices.get(..MAX_SLICES).unwrap_or(slices);
        Ok(rustix::io::pwritev(self, some, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    #[cfg(target_os = "linux")]
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        use rustix::io::{Errno, ReadWriteFlags};
        let length = buffer.len();
        let slices = &mut [io::IoSliceMut::new(buffer)];
        match rustix::io::preadv2(self, slices, offset, ReadWriteFlags::NOWAIT) {
            // Only a part is in memory, or the file ends: the waiting read finds out.
            Ok(read) => Ok(read == length),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.read_exact_at(buffer, offset)?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_exact_at(buffer, offset)?;
        Ok(true)
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(self, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, len),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, len: u64) -> io::Result<()> {
        write_zeros(self, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
