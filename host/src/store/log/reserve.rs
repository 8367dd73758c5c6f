//! Reserved room on the disk for batches that free room.
//!
//! On a full disk a deletion itself needs room: for its record, and for copies of the live records
//! in the segment that it empties. So the store allocates a file of some MiB while there is room.
//! When a batch that frees room finds none, this file becomes the next segment. Until there is a
//! new reserve, the log takes only such batches.

use super::files::Files;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(super) const RESERVE: &str = "RESERVE";
/// Temporary name of `RESERVE`, until its room is allocated.
pub(super) const UNFINISHED: &str = "RESERVE.new";

/// Largest size of the reserve in bytes. On a smaller disk the reserve is one part in `PART` of the
/// disk.
const MOST: u64 = 16 << 20;
const PART: u64 = 100;
/// Smallest size of the reserve in bytes, since a few hundred deletions use up a smaller one. On a
/// still smaller disk the reserve is one part in `LEAST_PART` of the disk.
const LEAST: u64 = 1 << 20;
const LEAST_PART: u64 = 16;

/// State of the reserve. It changes only while the writer is locked, or before there is a writer.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// Size of the reserve in bytes. 0 if the size of the disk is unknown; then there is no
    /// reserve.
    bytes: u64,
    /// Whether the file is present.
    whole: AtomicBool,
    /// Bytes of growing records written since the reserve came into use.
    grown: AtomicU64,
}

impl Reserve {
    /// Opens the reserve in the directory of a store. Allocates the file if possible.
    pub(super) fn open(dir: &Path, files: &dyn Files) -> io::Result<Self> {
        let bytes = bytes_for(files.disk(dir));
        let reserve = Self {
            bytes,
            ..Self::default()
        };
        let found = files.open(&dir.join(RESERVE));
        let length = match found {
            Ok(file) => file.length()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if bytes > 0 && length < bytes {
            // A start needs no room, so it goes on without a reserve.
            reserve.restore(dir, files);
        } else {
            reserve.whole.store(bytes > 0, Ordering::Release);
        }
        Ok(reserve)
    }

    /// Size of the reserve in bytes. 0 if there is no reserve.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the file is present.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Whether the log may write only batches that free room.
    pub(super) fn is_in_use(&self) -> bool {
        self.bytes > 0 && !self.is_whole()
    }

    /// Allocates the file if there is room for it and a little more. Returns whether it is present.
    pub(super) fn restore(&self, dir: &Path, files: &dyn Files) -> bool {
        if self.bytes == 0 || self.is_whole() {
            return true;
        }
        let wanted = self.bytes.saturating_add(self.bytes / 4);
        if files.room(dir) < wanted {
            return false;
        }
        let built = build(dir, files, self.bytes).is_ok();
        if built {
            self.grown.store(0, Ordering::Release);
            self.whole.store(true, Ordering::Release);
        }
        built
    }

    /// Notes that the file became a segment, or is gone.
    pub(super) fn spend(&self) {
        self.whole.store(false, Ordering::Release);
    }

    /// Counts bytes of growing records. They get half of the reserve, so that deletions and
    /// compaction always have the rest. Returns whether that many bytes were left.
    pub(super) fn grow(&self, bytes: u64) -> bool {
        let grown = self.grown.load(Ordering::Acquire).saturating_add(bytes);
        let allowed = grown <= self.bytes / 2;
        if allowed {
            self.grown.store(grown, Ordering::Release);
        }
        allowed
    }
}

/// Size of the reserve on a disk of this size.
fn bytes_for(disk: u64) -> u64 {
    let least = LEAST.min(disk / LEAST_PART);
    MOST.min((disk / PART).max(least))
}

fn build(dir: &Path, files: &dyn Files, bytes: u64) -> io::Result<()> {
    let unfinished = dir.join(UNFINISHED);
    let built = files.create(&unfinished).and_then(|file| {
        file.allocate(bytes)?;
        file.sync()?;
        files.rename(&unfinished, &dir.join(RESERVE))?;
        files.sync_dir(dir)
    });
    if built.is_err() {
        // The removal is optional, since the next attempt empties the file.
        let _ = files.remove(&unfinished);
    }
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_one_percent_of_the_disk_within_its_limits() {
        for (disk, bytes) in [
            (0, 0),
            (1 << 20, 1 << 16),
            (16 << 20, 1 << 20),
            (1000 << 20, 10 << 20),
            (1 << 40, 16 << 20),
        ] {
            assert_eq!(bytes_for(disk), bytes, "{disk}");
        }
    }

    #[test]
    fn growing_records_get_half_of_it() {
        let reserve = Reserve {
            bytes: 1000,
            ..Reserve::default()
        };
        assert!(reserve.is_in_use());
        assert!(reserve.grow(300) && reserve.grow(200) && !reserve.grow(1));
    }
}
