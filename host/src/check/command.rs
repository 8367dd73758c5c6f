//! The check command and its repair.

use super::error::CheckError;
use super::report::Report;
use super::space::spaces;
use super::walk::walk;
use crate::backup::disk::{BackupError, BackupFiles};
use crate::store::log::{self, Change, Files, Log, OpenError, Options, ReadOnlyFiles, SystemFiles};
use crate::store::{ChangeNumber, file_timeline as timeline};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Changes in one write of a repair.
const BATCH: usize = 1000;

/// Checks the store in a directory that no server has open, or a backup. `fix` removes chunks and
/// index blocks that no record refers to. `new_timeline` begins the store's next timeline if the
/// store is whole: use it after restoring an older state.
///
/// # Errors
///
/// When the store can't be opened, read or written. Damaged and missing records are in the report.
pub fn check(directory: &Path, fix: bool, new_timeline: bool) -> Result<Report, CheckError> {
    let io = |source| OpenError::Io {
        path: directory.to_owned(),
        source,
    };
    let backup = BackupFiles::open(directory, Arc::new(ReadOnlyFiles))?.map(Arc::new);
    if backup.is_some() && (fix || new_timeline) {
        return Err(BackupError::ReadOnly(directory.to_owned()).into());
    }
    let files: Arc<dyn Files> = match &backup {
        Some(backup) => Arc::clone(backup) as _,
        None => Arc::new(SystemFiles),
    };
    let mut report = Report::new(log::check(directory, Arc::clone(&files))?);
    if let Some(backup) = &backup {
        report.taken_ms = Some(backup.manifest().taken_ms);
        for file in backup.damaged()? {
            let file = file.display();
            report.problem(format!("{file}: other bytes than the backup's list says"));
        }
    }
    let log = match Log::open(directory, Arc::clone(&files), Options::default()) {
        Ok((log, _)) => log,
        // The damage is in the report.
        Err(
            OpenError::Damaged { .. }
            | OpenError::NoManifest(_)
            | OpenError::Hole { .. }
            | OpenError::Unnamed { .. },
        ) => return Ok(report),
        Err(error) => return Err(error.into()),
    };
    let mut left_over = Vec::new();
    let spaces = spaces(
        |visit| log.for_each_key(|key, _, length| visit(key, length)),
        &mut |key| report.problem(format!("{key}: not a key of this version")),
    );
    for (namespace, space) in spaces {
        walk(&log, &namespace, &space, &mut report, &mut left_over)?;
    }
    if fix && report.is_whole() {
        remove(&log, left_over)?;
        report.removed = true;
    }
    // The log still holds the lock on the directory.
    report.timeline = match new_timeline && report.is_whole() {
        true => timeline::raise(directory, &*files, SystemTime::now()).map_err(io)?,
        false => timeline::read(directory, &*files).map_err(io)?,
    };
    drop(log);
    Ok(report)
}

fn remove(log: &Log, keys: Vec<String>) -> Result<(), CheckError> {
    let mut sequence = log.highest_sequence().get();
    for some in keys.chunks(BATCH) {
        let changes: Vec<Change> = some
            .iter()
            .map(|key| {
                sequence = sequence.saturating_add(1);
                Change {
                    key: key.as_str().into(),
                    value: None,
                    sequence: ChangeNumber::new(sequence),
                }
            })
            .collect();
        log.commit(&changes)?;
    }
    while log.compact()? {}
    Ok(())
}
