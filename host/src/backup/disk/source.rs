//! Sources of a backup.

use super::error::{BackupError, at};
use super::measured::Measured;
use crate::store::file_timeline as timeline;
use crate::store::log::{Anatomy, Files, Log, OpenError, Options, Snapshot};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The moment that a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Version of the log's format.
    pub format: u32,
    /// Identity of the store: 32 hexadecimal digits.
    pub store: String,
    /// Timeline of the store.
    pub timeline: u64,
    /// Segments, oldest first.
    pub segments: Vec<Extent>,
}

/// A segment at the moment of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    /// Number of the segment.
    pub segment: u32,
    /// Length in bytes.
    pub bytes: u64,
}

impl Moment {
    /// The moment of a snapshot of a store on this timeline.
    pub(crate) fn of(snapshot: &Snapshot, timeline: u64) -> Self {
        let extent = |(segment, bytes)| Extent { segment, bytes };
        Self {
            format: snapshot.format(),
            store: snapshot.store(),
            timeline,
            segments: snapshot.segments().map(extent).collect(),
        }
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = self.segments.iter().map(|extent| extent.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// Whether the numbers of the segments rise.
    pub(super) fn is_ordered(&self) -> bool {
        self.segments
            .is_sorted_by(|one, next| one.segment < next.segment)
    }
}

/// A store at one moment, as a backup reads it.
pub(crate) trait Source {
    /// The moment.
    fn moment(&self) -> &Moment;

    /// Returns the SHA-256 of the first bytes of a segment.
    ///
    /// # Errors
    ///
    /// When the source can't be read any more.
    fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError>;

    /// Passes the bytes of a segment to `put`, from an offset to the segment's end.
    ///
    /// # Errors
    ///
    /// When the source can't be read any more, and the errors of `put`.
    fn read(
        &mut self,
        segment: u32,
        from: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError>;
}

/// A snapshot of a log in this process.
pub(crate) struct Local {
    moment: Moment,
    measured: Measured,
    /// Keeps the directory locked.
    _log: Option<Log>,
}

impl Local {
    /// A source of this snapshot.
    #[cfg(test)]
    pub(super) fn new(snapshot: Snapshot, timeline: u64) -> Self {
        Self {
            moment: Moment::of(&snapshot, timeline),
            measured: Measured::new(snapshot),
            _log: None,
        }
    }

    /// Opens a store that no server has open.
    ///
    /// # Errors
    ///
    /// When the store can't be opened.
    pub(crate) fn open(directory: &Path, files: Arc<dyn Files>) -> Result<Self, BackupError> {
        // A directory without a store would become one.
        let format = files.open(&directory.join(Anatomy::FORMAT));
        if format.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(OpenError::Missing(directory.to_owned()).into());
        }
        let (log, _) = Log::open(directory, Arc::clone(&files), Options::default())?;
        let timeline = timeline::read(directory, &*files).map_err(at(directory))?;
        let snapshot = log.snapshot();
        Ok(Self {
            moment: Moment::of(&snapshot, timeline),
            measured: Measured::new(snapshot),
            _log: Some(log),
        })
    }
}

impl Source for Local {
    fn moment(&self) -> &Moment {
        &self.moment
    }

    fn digest(&mut self, segment: u32, bytes: u64) -> Result<String, BackupError> {
        Ok(self.measured.digest(segment, bytes, &mut || ())?)
    }

    fn read(
        &mut self,
        segment: u32,
        from: u64,
        put: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let mut reader = self.measured.read(segment, from)?;
        while let Some(piece) = reader.next()? {
            put(&piece)?;
        }
        self.measured.keep(&reader);
        Ok(())
    }
}
