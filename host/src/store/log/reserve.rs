//! Room that is kept for what frees room.
//!
//! On a full disk a deletion itself needs room: its record, and copies of what is still needed of
//! the segment it empties. So a file of some MiB is allocated while there is room. When a batch that
//! frees room finds none, this file becomes the next segment. Until a new reserve is there, the log
//! takes only such batches.

use super::files::Files;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(super) const RESERVE: &str = "RESERVE";
/// Becomes `RESERVE` once its room is allocated.
pub(super) const UNFINISHED: &str = "RESERVE.new";

/// Bytes of a reserve at most, and the part of the disk that it is on a smaller one.
const MOST: u64 = 16 << 20;
const PART: u64 = 100;
/// Bytes of a reserve at least, and the part of the disk that it is on a still smaller one: below
/// this a few hundred deletions use it up.
const LEAST: u64 = 1 << 20;
const LEAST_PART: u64 = 16;

/// State of the reserve. All of it changes while the writer is locked or before there is one.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    /// Bytes that it is to have; 0 where the size of the disk can't be told: then there is none.
    bytes: u64,
    /// The file is there.
    whole: AtomicBool,
    /// Bytes of growing records that were written since the reserve is in use.
    grown: AtomicU64,
}

impl Reserve {
    /// For the directory of a store; allocates the file where that is possible.
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
            // A start needs no room: without a reserve it goes on.
            reserve.restore(dir, files);
        } else {
            reserve.whole.store(bytes > 0, Ordering::Release);
        }
        Ok(reserve)
    }

    /// Bytes that it is to have; 0 where there is none.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the file is there.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Whether only what frees room may be written.
    pub(super) fn is_in_use(&self) -> bool {
        self.bytes > 0 && !self.is_whole()
    }

    /// Allocates the file where there is room for it and a little more. Returns whether it is there.
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

    /// The file becomes a segment, or is gone.
    pub(super) fn spend(&self) {
        self.whole.store(false, Ordering::Release);
    }

    /// Counts bytes of growing records. They get half of the reserve, so that deletions and
    /// compaction always have the rest. Returns whether there are as many left.
    pub(super) fn grow(&self, bytes: u64) -> bool {
        let grown = self.grown.load(Ordering::Acquire).saturating_add(bytes);
        let allowed = grown <= self.bytes / 2;
        if allowed {
            self.grown.store(grown, Ordering::Release);
        }
        allowed
    }
}

/// Bytes of the reserve on a disk of so many.
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
        // Nothing depends on this: the next attempt empties the file.
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
