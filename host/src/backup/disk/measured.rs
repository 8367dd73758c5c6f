//! Segments of a snapshot, read forward, with their digests.

use super::digest::Sha;
use crate::store::log::{Reading, Snapshot, SnapshotError};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of one read.
const PIECE: u64 = 256 << 10;

/// A snapshot that remembers the digest of the bytes read so far in each segment. So the digest of a
/// segment that was just read costs no further read.
pub(crate) struct Measured {
    snapshot: Snapshot,
    known: Mutex<HashMap<u32, (u64, Sha)>>,
}

/// A segment that is being read.
pub(crate) struct Reader {
    reading: Reading,
    segment: u32,
    offset: u64,
    end: u64,
    /// Digest of all bytes before `offset`, if it is known.
    sha: Option<Sha>,
}

impl Measured {
    /// Wraps a snapshot.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            known: Mutex::default(),
        }
    }

    /// The snapshot.
    pub(crate) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u32, (u64, Sha)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read a segment at an offset, up to the end that it had at the snapshot's moment.
    ///
    /// # Errors
    ///
    /// When the snapshot has no such bytes, or was ended.
    pub(crate) fn read(&self, segment: u32, from: u64) -> Result<Reader, SnapshotError> {
        let end = self.snapshot.length(segment);
        let end = end
            .filter(|end| from <= *end)
            .ok_or(SnapshotError::Absent)?;
        let sha = match from {
            0 => Some(Sha::default()),
            from => self
                .known()
                .get(&segment)
                .filter(|(offset, _)| *offset == from)
                .map(|(_, sha)| sha.clone()),
        };
        Ok(Reader {
            reading: self.snapshot.open(segment)?,
            segment,
            offset: from,
            end,
            sha,
        })
    }

    /// Remembers the digest of a segment that was read.
    pub(crate) fn keep(&self, reader: &Reader) {
        if let Some(sha) = &reader.sha {
            let known = (reader.offset, sha.clone());
            self.known().insert(reader.segment, known);
        }
    }

    /// Returns the digest of the first bytes of a segment: 64 hexadecimal digits. Reads the bytes
    /// that no reader has read yet. `each` runs after every piece.
    ///
    /// # Errors
    ///
    /// When the snapshot has no such bytes or was ended, or the file system fails.
    pub(crate) fn digest(
        &self,
        segment: u32,
        bytes: u64,
        each: &mut dyn FnMut(),
    ) -> Result<String, SnapshotError> {
        let known = self.known().get(&segment).map(|(offset, _)| *offset);
        let from = known.filter(|offset| *offset <= bytes).unwrap_or(0);
        let mut reader = self.read(segment, from)?;
        if bytes > reader.end {
            return Err(SnapshotError::Absent);
        }
        reader.end = bytes;
        while reader.next()?.is_some() {
            each();
        }
        self.keep(&reader);
        Ok(reader.sha.unwrap_or_default().hex())
    }
}

impl Reader {
    /// Number of bytes that are left.
    pub(crate) const fn left(&self) -> u64 {
        self.end.saturating_sub(self.offset)
    }

    /// Reads the next bytes. `None` at the end.
    ///
    /// # Errors
    ///
    /// When the snapshot was ended, or the file system fails.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, SnapshotError> {
        let length = self.left().min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; length as usize];
        self.reading.read_at(&mut piece, self.offset)?;
        if let Some(sha) = &mut self.sha {
            sha.add(&piece);
        }
        self.offset = self.offset.saturating_add(length);
        Ok(Some(piece))
    }
}
