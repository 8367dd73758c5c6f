//! Makes a store from a backup.

use super::digest::read_through;
use super::error::{BackupError, at};
use super::manifest::{Kept, file_name};
use super::view::BackupFiles;
use crate::store::file_timeline as timeline;
use crate::store::log::{Anatomy, Files, Log, Options, write_all_at};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Exists at the root of a mounted file system.
const LOST_AND_FOUND: &str = "lost+found";
/// Temporary name of `FORMAT`, until it is completely written.
const UNFINISHED: &str = "FORMAT.new";

/// Result of a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restored {
    /// Bytes of the segments.
    pub bytes: u64,
    /// Number of keys.
    pub keys: u64,
    /// The new timeline.
    pub timeline: u64,
}

/// Copies the backup in `from` into the empty or absent directory `to`, verifies every digest, and
/// begins a new timeline. `to` becomes a store with the last write. `progress` gets a line now and
/// then.
///
/// # Errors
///
/// [`BackupError`]. The files that were copied until then are removed.
pub(crate) fn restore(
    from: &Path,
    source: Arc<dyn Files>,
    to: &Path,
    files: Arc<dyn Files>,
    now: SystemTime,
    progress: &mut dyn FnMut(&str),
) -> Result<Restored, BackupError> {
    let missing = || BackupError::Missing(from.to_owned());
    let backup = BackupFiles::open(from, source)?.ok_or_else(missing)?;
    files.create_dir(to).map_err(at(to))?;
    let lock = files.lock_dir(to).map_err(at(to))?;
    let lock = lock.ok_or_else(|| BackupError::InUse(to.to_owned()))?;
    // Another restore may have ended until the directory was locked.
    let names = files.list(to).map_err(at(to))?;
    if names.iter().any(|name| name != LOST_AND_FOUND) {
        return Err(BackupError::Used(to.to_owned()));
    }
    let filled = fill(&backup, to, &*files, now, progress);
    if filled.is_err() {
        empty(to, &*files);
    }
    let timeline = filled?;
    drop(lock);
    // The server's own start does the same, and fails for the same reasons.
    let (log, recovered) = Log::open(to, files, Options::default())?;
    drop(log);
    Ok(Restored {
        bytes: backup.manifest().bytes(),
        keys: recovered.keys,
        timeline,
    })
}

/// Writes all files of the store. Returns its timeline.
fn fill(
    backup: &BackupFiles,
    to: &Path,
    files: &dyn Files,
    now: SystemTime,
    progress: &mut dyn FnMut(&str),
) -> Result<u64, BackupError> {
    let manifest = backup.manifest();
    for (number, kept) in (1..).zip(&manifest.segments) {
        copy(backup, kept, to, files)?;
        progress(&format!(
            "{number} of {} segments restored",
            manifest.segments.len()
        ));
    }
    write(to, Anatomy::MANIFEST, &backup.anatomy().manifest, files)?;
    // The timeline must not come after the store: without it, readers of lost records would take
    // new records for them.
    let begun = timeline::begin_after(to, files, manifest.timeline, now);
    let timeline = begun.map_err(at(to))?;
    write(to, UNFINISHED, &backup.anatomy().format, files)?;
    let (from, to_name) = (to.join(UNFINISHED), to.join(Anatomy::FORMAT));
    let renamed = files.rename(&from, &to_name);
    let synced = renamed.and_then(|()| files.sync_dir(to));
    synced.map_err(at(&to_name))?;
    Ok(timeline)
}

/// Copies a segment, durably, and verifies its digest.
fn copy(
    backup: &BackupFiles,
    kept: &Kept,
    to: &Path,
    files: &dyn Files,
) -> Result<(), BackupError> {
    let name = file_name(kept.segment, backup.manifest().timeline);
    let damaged = || BackupError::Damaged(backup.directory().join(&name));
    let from = match backup.segment(kept) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged()),
        Err(error) => return Err(at(&backup.directory().join(&name))(error)),
    };
    let path = to.join(Anatomy::segment(kept.segment));
    let io = at(&path);
    let file = files.create(&path).map_err(&io)?;
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => at(&backup.directory().join(&name))(error),
    };
    let sha = read_through(&*from, kept.bytes, unreadable, |piece, offset| {
        write_all_at(&*file, &mut [IoSlice::new(piece)], offset).map_err(&io)
    })?;
    if sha.hex() != kept.sha256 {
        return Err(damaged());
    }
    file.sync().map_err(io)
}

/// Writes a small file durably, except for its name.
fn write(dir: &Path, name: &str, bytes: &[u8], files: &dyn Files) -> Result<(), BackupError> {
    let path = dir.join(name);
    let written = files.create(&path).and_then(|file| {
        write_all_at(&*file, &mut [IoSlice::new(bytes)], 0)?;
        file.sync()
    });
    written.map_err(at(&path))
}

/// Removes the files of a failed restore, as far as possible.
fn empty(dir: &Path, files: &dyn Files) {
    for name in files.list(dir).unwrap_or_default() {
        if name != LOST_AND_FOUND {
            let _ = files.remove(&dir.join(name));
        }
    }
}
