//! The timeline of a store in files: a number in a file of its own, beside the log.
//!
//! A store on timeline 0 has no such file. Only `check --new-timeline` writes the file, while no
//! server has the directory open.

use crate::store::log::Files;
use crate::store::timeline::next;
use std::io::{self, IoSlice};
use std::path::Path;
use std::time::SystemTime;

pub(crate) const TIMELINE: &str = "TIMELINE";
/// Temporary name of `TIMELINE`, until it is completely written.
const UNFINISHED: &str = "TIMELINE.new";
/// Limit in bytes. A number is always shorter.
const MOST_BYTES: u64 = 64;

/// Reads the timeline of the store in a directory.
///
/// # Errors
///
/// If the file can't be read, or does not hold a number.
pub(crate) fn read(directory: &Path, files: &dyn Files) -> io::Result<u64> {
    let file = match files.open(&directory.join(TIMELINE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let length = file.length()?.min(MOST_BYTES);
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    let text = std::str::from_utf8(&bytes).ok();
    let number = text.and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "TIMELINE holds no number"))
}

/// Begins the next timeline of the store in a directory, durably, and returns it. The caller holds
/// the lock of the directory.
///
/// # Errors
///
/// If the file can't be read or written.
pub(crate) fn raise(directory: &Path, files: &dyn Files, now: SystemTime) -> io::Result<u64> {
    begin_after(directory, files, read(directory, files)?, now)
}

/// Begins the next timeline after `before`, durably, and returns it. The caller has the directory
/// locked.
///
/// # Errors
///
/// When the file can't be written.
pub(crate) fn begin_after(
    directory: &Path,
    files: &dyn Files,
    before: u64,
    now: SystemTime,
) -> io::Result<u64> {
    let timeline = next(before, now);
    let unfinished = directory.join(UNFINISHED);
    let file = files.create(&unfinished)?;
    let text = text(timeline);
    let written = file.write_at(&[IoSlice::new(text.as_bytes())], 0)?;
    if written < text.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    file.sync()?;
    files.rename(&unfinished, &directory.join(TIMELINE))?;
    files.sync_dir(directory)?;
    Ok(timeline)
}

/// Contents of the file of this timeline.
pub(crate) fn text(timeline: u64) -> String {
    format!("{timeline}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::log::SystemFiles;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_directory_without_the_file_is_on_timeline_0_and_each_raise_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        assert_eq!(read(path, &SystemFiles).expect("it reads"), 0);
        for timeline in 1..4 {
            let raised = raise(path, &SystemFiles, UNIX_EPOCH).expect("it writes");
            assert_eq!(raised, timeline);
            assert_eq!(read(path, &SystemFiles).expect("it reads"), timeline);
        }
        std::fs::write(path.join(TIMELINE), "some").expect("it writes");
        let error = read(path, &SystemFiles).expect_err("no number");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
