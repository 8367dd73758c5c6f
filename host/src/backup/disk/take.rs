//! Writes a backup into a directory, which may hold an earlier one.

use super::digest::{Sha, read_through};
use super::error::{BackupError, at};
use super::manifest::{BACKUP, Kept, Manifest, UNFINISHED, file_name, is_segment};
use super::source::{Extent, Moment, Source};
use crate::store::log::{Anatomy, Files, LogFile, write_all_at};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Exists at the root of a mounted file system.
const LOST_AND_FOUND: &str = "lost+found";

/// Copies the moment of a source into a directory. Segments of an earlier backup, or of an
/// interrupted one, are continued if they are of this timeline and their digest matches. `progress`
/// gets a line now and then.
///
/// # Errors
///
/// [`BackupError`]. An earlier backup in the directory is still whole then, also if the store was
/// damaged since.
pub(crate) fn take(
    source: &mut dyn Source,
    dest: &Path,
    files: &dyn Files,
    now: SystemTime,
    progress: &mut dyn FnMut(&str),
) -> Result<Manifest, BackupError> {
    let moment = source.moment().clone();
    if !moment.is_ordered() {
        return Err(BackupError::Disordered);
    }
    if let Some(store) = store_around(dest, files) {
        let dest = dest.to_owned();
        return Err(BackupError::Inside { dest, store });
    }
    files.create_dir(dest).map_err(at(dest))?;
    let lock = files.lock_dir(dest).map_err(at(dest))?;
    let _lock = lock.ok_or_else(|| BackupError::InUse(dest.to_owned()))?;
    // A killed client may have left a list that a power failure takes back.
    files.sync_dir(dest).map_err(at(dest))?;
    let names = files.list(dest).map_err(at(dest))?;
    let is_known = |name: &String| {
        is_segment(name) || [BACKUP, UNFINISHED, LOST_AND_FOUND].contains(&name.as_str())
    };
    if !names.iter().all(is_known) {
        return Err(BackupError::Foreign(dest.to_owned()));
    }
    let earlier = Manifest::read(dest, files)?;
    if earlier
        .as_ref()
        .is_some_and(|earlier| earlier.store != moment.store)
    {
        return Err(BackupError::OtherStore(dest.to_owned()));
    }
    let earlier = earlier.filter(|earlier| earlier.timeline == moment.timeline);
    let mut segments = Vec::with_capacity(moment.segments.len());
    let mut done = Done::new(&moment);
    for extent in &moment.segments {
        let path = dest.join(file_name(extent.segment, moment.timeline));
        let listed = earlier
            .as_ref()
            .and_then(|earlier| earlier.kept(extent.segment));
        let sha256 = copy(source, *extent, &path, listed, files, &mut done)?;
        segments.push(Kept {
            segment: extent.segment,
            bytes: extent.bytes,
            sha256,
        });
        done.report(progress);
    }
    // The list must not name files that a power failure takes away.
    files.sync_dir(dest).map_err(at(dest))?;
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let taken_ms = since.map_or(0, |since| since.as_millis() as u64);
    let (format, store, timeline) = (moment.format, moment.store, moment.timeline);
    let manifest = Manifest::new(format, store, timeline, taken_ms, segments);
    manifest.write(dest, files)?;
    remove_others(&manifest, dest, names, files)?;
    Ok(manifest)
}

/// The store that a directory is in, if any.
fn store_around(dest: &Path, files: &dyn Files) -> Option<PathBuf> {
    let dest = std::path::absolute(dest).ok()?;
    let has = |directory: &Path, name| files.open(&directory.join(name)).is_ok();
    let mut around = dest.ancestors().skip(1);
    let store = around
        .find(|directory| has(directory, Anatomy::FORMAT) && has(directory, Anatomy::MANIFEST));
    store.map(Path::to_owned)
}

/// Copies one segment, as far as it is not there yet, and makes it durable. `listed` is its entry in
/// the earlier backup. Returns its digest.
fn copy(
    source: &mut dyn Source,
    extent: Extent,
    path: &Path,
    listed: Option<&Kept>,
    files: &dyn Files,
    done: &mut Done,
) -> Result<String, BackupError> {
    let io = at(path);
    let Extent { segment, bytes } = extent;
    let kept = reuse(source, extent, path, listed, files)?;
    let Begun {
        file,
        mut sha,
        bytes: mut offset,
    } = match kept {
        Some(begun) => begun,
        None => Begun {
            file: files.create(path).map_err(&io)?,
            sha: Sha::default(),
            bytes: 0,
        },
    };
    done.reused = done.reused.saturating_add(offset);
    if file.length().map_err(&io)? > offset {
        file.set_len(offset).map_err(&io)?;
    }
    if offset < bytes {
        source.read(segment, offset, &mut |piece| {
            let end = offset.saturating_add(piece.len() as u64);
            if end > bytes {
                return Err(BackupError::Differs(segment));
            }
            write_all_at(&*file, &mut [IoSlice::new(piece)], offset).map_err(&io)?;
            sha.add(piece);
            offset = end;
            Ok(())
        })?;
    }
    file.sync().map_err(&io)?;
    let digest = sha.hex();
    if offset != bytes || source.digest(segment, bytes)? != digest {
        return Err(BackupError::Differs(segment));
    }
    done.bytes = done.bytes.saturating_add(bytes);
    done.segments = done.segments.saturating_add(1);
    Ok(digest)
}

/// The first bytes of a segment's copy.
struct Begun {
    file: Arc<dyn LogFile>,
    /// Digest of these bytes.
    sha: Sha,
    /// Their number.
    bytes: u64,
}

/// Opens an earlier copy of a segment as far as its bytes are those of the source. A copy that an
/// earlier backup needs, and that the source contradicts, is an error: it must not be overwritten.
fn reuse(
    source: &mut dyn Source,
    extent: Extent,
    path: &Path,
    listed: Option<&Kept>,
    files: &dyn Files,
) -> Result<Option<Begun>, BackupError> {
    let io = at(path);
    let file = match files.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    // A copy that can't be read is not used.
    let read = |bytes| read_through(&*file, bytes, |error| error, |_, _| Ok(())).ok();
    let is_intact = |kept: &Kept| read(kept.bytes).is_some_and(|sha| sha.hex() == kept.sha256);
    if listed.is_some_and(|kept| kept.bytes > extent.bytes && is_intact(kept)) {
        return Err(BackupError::Changed(extent.segment));
    }
    let length = file.length().map_err(io)?.min(extent.bytes);
    // An interrupted backup may have left other bytes behind those that the list names.
    for bytes in [Some(length), listed.map(|kept| kept.bytes)]
        .into_iter()
        .flatten()
    {
        if bytes == 0 || bytes > length {
            continue;
        }
        if let Some(sha) = read(bytes)
            && source.digest(extent.segment, bytes)? == sha.hex()
        {
            return Ok(Some(Begun { file, sha, bytes }));
        }
    }
    match listed.is_some_and(is_intact) {
        true => Err(BackupError::Changed(extent.segment)),
        false => Ok(None),
    }
}

/// Removes the segments of earlier backups.
fn remove_others(
    manifest: &Manifest,
    dest: &Path,
    names: Vec<String>,
    files: &dyn Files,
) -> Result<(), BackupError> {
    let listed: Vec<String> = manifest
        .segments
        .iter()
        .map(|kept| file_name(kept.segment, manifest.timeline))
        .collect();
    let others = names.into_iter().filter(|name| is_segment(name));
    for name in others.filter(|name| listed.binary_search(name).is_err()) {
        let path = dest.join(name);
        files.remove(&path).map_err(at(&path))?;
    }
    files.sync_dir(dest).map_err(at(dest))
}

/// Progress of a backup.
struct Done {
    all: (usize, u64),
    segments: usize,
    bytes: u64,
    reused: u64,
    /// Percentage of the last line.
    reported: Option<u64>,
}

impl Done {
    fn new(moment: &Moment) -> Self {
        Self {
            all: (moment.segments.len(), moment.bytes()),
            segments: 0,
            bytes: 0,
            reused: 0,
            reported: None,
        }
    }

    /// Writes a line whenever another hundredth is done.
    fn report(&mut self, progress: &mut dyn FnMut(&str)) {
        let (segments, bytes) = self.all;
        let percent = self.bytes.saturating_mul(100).checked_div(bytes);
        if self.reported == percent {
            return;
        }
        self.reported = percent;
        progress(&format!(
            "{} of {segments} segments, {} of {} MiB, {} MiB of them reused",
            self.segments,
            self.bytes >> 20,
            bytes >> 20,
            self.reused >> 20,
        ));
    }
}
