//! The commands `backup` and `restore`.

use super::disk::{self, BackupError, Local, Source};
use super::remote::Remote;
use crate::store::log::{ReadOnlyFiles, SystemFiles};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Source of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupSource {
    /// A running server.
    Server {
        /// URL of its admin listener.
        admin: String,
        /// A `manage` token without a prefix, if access control is on.
        token: Option<String>,
    },
    /// Directory of a store that no server has open.
    Directory(PathBuf),
}

/// Copies one moment of a store into the directory `dest`, which may hold an earlier backup of the
/// store, or an interrupted one. `progress` gets a line now and then. Returns a summary.
///
/// # Errors
///
/// [`BackupError`]. An earlier backup in `dest` is still whole then.
pub fn backup(
    from: &BackupSource,
    dest: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<String, BackupError> {
    let mut remote;
    let mut local;
    let source: &mut dyn Source = match from {
        BackupSource::Server { admin, token } => {
            remote = Remote::begin(admin, token.as_deref())?;
            &mut remote
        }
        BackupSource::Directory(directory) => {
            expect_directory(directory)?;
            local = Local::open(directory, Arc::new(SystemFiles))?;
            &mut local
        }
    };
    let now = SystemTime::now();
    let taken = disk::take(source, dest, &SystemFiles, now, progress)?;
    Ok(format!(
        "backup: {} segments with {} bytes, timeline {}",
        taken.segments.len(),
        taken.bytes(),
        taken.timeline
    ))
}

/// Makes a store in the empty or absent directory `to` from the backup in `from`, and begins a new
/// timeline. `progress` gets a line now and then. Returns a summary.
///
/// # Errors
///
/// [`BackupError`]. `to` holds no store then.
pub fn restore(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<String, BackupError> {
    expect_directory(to)?;
    let (source, files) = (Arc::new(ReadOnlyFiles), Arc::new(SystemFiles));
    let now = SystemTime::now();
    let restored = disk::restore(from, source, to, files, now, progress)?;
    Ok(format!(
        "restored: {} keys, {} bytes, timeline {}",
        restored.keys, restored.bytes, restored.timeline
    ))
}

/// Refuses the name of a store as `serve --store` takes it. A directory of that name would be made
/// otherwise.
fn expect_directory(path: &Path) -> Result<(), BackupError> {
    let text = path.to_string_lossy();
    match ["file:", "redis:"]
        .iter()
        .any(|kind| text.starts_with(kind))
    {
        true => Err(BackupError::NoDirectory(path.to_owned())),
        false => Ok(()),
    }
}
