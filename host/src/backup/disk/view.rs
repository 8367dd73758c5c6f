//! A backup that looks like the directory of a store, for `check`.
//!
//! The segments end where the backup's list says. Changes have no effect.

use super::digest::read_through;
use super::error::{BackupError, at};
use super::manifest::{Kept, Manifest, file_name, is_segment};
use crate::store::file_timeline::{TIMELINE, text};
use crate::store::log::{Anatomy, Files, LogFile};
use std::any::Any;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a backup under the names that they have in a store.
pub(crate) struct BackupFiles {
    directory: PathBuf,
    files: Arc<dyn Files>,
    manifest: Manifest,
    anatomy: Anatomy,
}

impl BackupFiles {
    /// Opens the backup in a directory. `None` if the directory holds something else.
    ///
    /// # Errors
    ///
    /// When the backup is unfinished, its list is damaged, or the directory can't be read.
    pub(crate) fn open(
        directory: &Path,
        files: Arc<dyn Files>,
    ) -> Result<Option<Self>, BackupError> {
        let Some(manifest) = Manifest::read(directory, &*files)? else {
            return match files.list(directory) {
                Ok(names) if names.iter().any(|name| is_segment(name)) => {
                    Err(BackupError::Unfinished(directory.to_owned()))
                }
                _ => Ok(None),
            };
        };
        let segments = manifest.segments.iter();
        let segments = segments.map(|kept| (kept.segment, kept.bytes));
        let anatomy = Anatomy::of(manifest.format, &manifest.store, segments);
        let newer = || BackupError::Newer {
            directory: directory.to_owned(),
            found: manifest.format,
        };
        let anatomy = anatomy.ok_or_else(newer)?;
        Ok(Some(Self {
            directory: directory.to_owned(),
            files,
            manifest,
            anatomy,
        }))
    }

    /// The list of the backup's segments.
    pub(crate) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) const fn anatomy(&self) -> &Anatomy {
        &self.anatomy
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens a segment.
    pub(super) fn segment(&self, kept: &Kept) -> io::Result<Arc<dyn LogFile>> {
        let file = self.files.open(&self.path(kept))?;
        let end = kept.bytes;
        Ok(Arc::new(Limited { file, end }))
    }

    fn path(&self, kept: &Kept) -> PathBuf {
        let name = file_name(kept.segment, self.manifest.timeline);
        self.directory.join(name)
    }

    /// Returns the files of segments with another digest than the list has.
    ///
    /// # Errors
    ///
    /// When a file can't be read.
    pub(crate) fn damaged(&self) -> Result<Vec<PathBuf>, BackupError> {
        let mut damaged = Vec::new();
        for kept in &self.manifest.segments {
            let path = self.path(kept);
            match self.digest(kept) {
                Ok(digest) if digest == kept.sha256 => {}
                Ok(_) => damaged.push(path),
                // A missing segment is found by its name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => damaged.push(path),
                Err(error) => return Err(at(&path)(error)),
            }
        }
        Ok(damaged)
    }

    fn digest(&self, kept: &Kept) -> io::Result<String> {
        let file = self.segment(kept)?;
        let sha = read_through(&*file, kept.bytes, |error| error, |_, _| Ok(()))?;
        Ok(sha.hex())
    }

    /// The contents of a file that only a store has.
    fn written(&self, name: &str) -> Option<Vec<u8>> {
        match name {
            Anatomy::FORMAT => Some(self.anatomy.format.clone()),
            Anatomy::MANIFEST => Some(self.anatomy.manifest.clone()),
            TIMELINE => Some(text(self.manifest.timeline).into_bytes()),
            _ => None,
        }
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Files for BackupFiles {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        let there = self.files.list(&self.directory)?;
        let mut names: Vec<String> = [Anatomy::FORMAT, Anatomy::MANIFEST, TIMELINE]
            .map(str::to_owned)
            .into();
        for kept in &self.manifest.segments {
            if there.contains(&file_name(kept.segment, self.manifest.timeline)) {
                names.push(Anatomy::segment(kept.segment));
            }
        }
        Ok(names)
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn LogFile>> {
        refused()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        if let Some(bytes) = self.written(name) {
            return Ok(Arc::new(Written(bytes)));
        }
        let mut segments = self.manifest.segments.iter();
        match segments.find(|kept| Anatomy::segment(kept.segment) == name) {
            Some(kept) => self.segment(kept),
            None => Err(io::ErrorKind::NotFound.into()),
        }
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

    /// Unknown, so that the log makes no reserve.
    fn room(&self, _: &Path) -> u64 {
        0
    }

    fn disk(&self, _: &Path) -> u64 {
        0
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.files.lock_dir(dir)
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        Ok(Some(Box::new(())))
    }
}

/// A segment up to its end in the backup.
struct Limited {
    file: Arc<dyn LogFile>,
    end: u64,
}

impl LogFile for Limited {
    fn is_at(&self, _: &Path) -> bool {
        true
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.length()?.min(self.end))
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        refused()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.saturating_add(buffer.len() as u64) > self.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_at(buffer, offset)
    }

    fn read_resident_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.read_at(buffer, offset).map(|()| true)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        refused()
    }

    /// An open cuts off an unfinished end, which only a damaged backup has. The report names the
    /// damage.
    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that the backup does not have.
struct Written(Vec<u8>);

impl LogFile for Written {
    fn is_at(&self, _: &Path) -> bool {
        true
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
        refused()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let begin = usize::try_from(offset).map_err(io::Error::other)?;
        let held = self
            .0
            .get(begin..)
            .and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
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
