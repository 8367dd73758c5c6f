//! The salvage command.

use super::output::Output;
use super::report::Salvaged;
use super::space;
use crate::backup::disk::BackupFiles;
use crate::check::error::CheckError;
use crate::check::space::spaces;
use crate::store::file_timeline as timeline;
use crate::store::log::{Files, Log, OpenError, Options, ReadOnlyFiles, Remains, SystemFiles};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The only entry allowed in an otherwise empty directory: the root of a mounted file system has
/// one.
const LOST_AND_FOUND: &str = "lost+found";

/// Copies all readable records of the store or the backup in `from` into a new store in `to`. No
/// server may have `from` open, and it stays unchanged. `progress` gets a line now and then.
///
/// # Errors
///
/// When a directory can't be used, read or written. Damage is in the report.
pub fn salvage(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Salvaged, CheckError> {
    refuse_used(from, to)?;
    let files: Arc<dyn Files> = match BackupFiles::open(from, Arc::new(ReadOnlyFiles))? {
        Some(backup) => Arc::new(backup),
        None => Arc::new(ReadOnlyFiles),
    };
    let remains = Remains::open(from, Arc::clone(&files), &mut |read, all| {
        progress(&format!("read segment {read} of {all}"));
    })?;
    let (log, _) = Log::open(to, Arc::new(SystemFiles), Options::default())?;
    let mut output = Output::new(&log, remains.highest_sequence(), progress);
    let mut report = Salvaged::new(remains.report());
    let mut foreign = Vec::new();
    let spaces = spaces(|visit| remains.for_each_key(visit), &mut |key| {
        foreign.push(key.to_owned())
    });
    for (namespace, space) in &spaces {
        space::copy(&remains, namespace, space, &mut output, &mut report)?;
    }
    for key in foreign {
        report.lost_key(&key, "not a key of this version");
    }
    output.finish()?;
    // Any key may have lost its newest value, so readers and writers need a new timeline. The
    // salvage begins it while the log holds the lock on the directory. A damaged timeline number
    // counts as none; the clock is ahead of it.
    let before = timeline::read(from, &*files).unwrap_or_default();
    let raised = timeline::begin_after(to, &SystemFiles, before, SystemTime::now());
    raised.map_err(|source| {
        let path = to.to_owned();
        CheckError::Open(OpenError::Io { path, source })
    })?;
    Ok(report)
}

/// Refuses a target directory that is not empty.
fn refuse_used(from: &Path, to: &Path) -> Result<(), CheckError> {
    let io = |path: &Path, source| {
        let path = path.to_owned();
        CheckError::Open(OpenError::Io { path, source })
    };
    let entries = match std::fs::read_dir(to) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return inside(from, to),
        Err(error) => return Err(io(to, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| io(to, error))?;
        if entry.file_name() != LOST_AND_FOUND {
            return Err(CheckError::Used(to.to_owned()));
        }
    }
    inside(from, to)
}

/// Refuses a target inside the damaged store, which must stay unchanged.
fn inside(from: &Path, to: &Path) -> Result<(), CheckError> {
    // The target may not exist yet, but one of its parents does.
    let known = to
        .ancestors()
        .find_map(|path| match path.as_os_str().is_empty() {
            true => Path::new(".").canonicalize().ok(),
            false => path.canonicalize().ok(),
        });
    match (from.canonicalize(), known) {
        (Ok(from), Some(known)) if known.starts_with(&from) => Err(CheckError::Used(to.to_owned())),
        _ => Ok(()),
    }
}
