//! `BACKUP`: the list of a backup's segments.
//!
//! The file has a line of JSON, and a line with the SHA-256 of the first one.

use super::digest::Sha;
use super::error::{BackupError, at};
use crate::store::log::{Anatomy, Files, write_all_at};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice};
use std::path::Path;

pub(super) const BACKUP: &str = "BACKUP";
/// Temporary name of `BACKUP`, until it is completely written.
pub(super) const UNFINISHED: &str = "BACKUP.new";
/// Limit in bytes: more segments than a store can have open.
const MOST: u64 = 64 << 20;
/// Version of this file.
const VERSION: u32 = 1;

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    /// Version of the log's format.
    pub format: u32,
    /// Identity of the store: 32 hexadecimal digits.
    pub store: String,
    /// Timeline of the store.
    pub timeline: u64,
    /// Time of the backup, milliseconds since 1970.
    pub taken_ms: u64,
    /// The segments, oldest first.
    pub segments: Vec<Kept>,
}

/// A segment in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Number of the segment.
    pub segment: u32,
    /// Length in bytes. The file may be longer after an interrupted later backup.
    pub bytes: u64,
    /// SHA-256 of these bytes: 64 hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// A list of these segments.
    pub(super) const fn new(
        format: u32,
        store: String,
        timeline: u64,
        taken_ms: u64,
        segments: Vec<Kept>,
    ) -> Self {
        Self {
            version: VERSION,
            format,
            store,
            timeline,
            taken_ms,
            segments,
        }
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|kept| kept.bytes).sum()
    }

    /// The entry of a segment.
    pub(super) fn kept(&self, segment: u32) -> Option<&Kept> {
        let mut segments = self.segments.iter();
        segments.find(|kept| kept.segment == segment)
    }

    /// Reads the list of a backup. `None` if there is no such file.
    pub(super) fn read(dir: &Path, files: &dyn Files) -> Result<Option<Self>, BackupError> {
        let path = dir.join(BACKUP);
        let io = at(&path);
        let file = match files.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let length = file.length().map_err(&io)?.min(MOST);
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, 0).map_err(&io)?;
        let damaged = || BackupError::DamagedList(path.clone());
        let manifest = Self::decode(&bytes).ok_or_else(damaged)?;
        if manifest.version > VERSION || manifest.format > Anatomy::NEWEST {
            return Err(BackupError::Newer {
                directory: dir.to_owned(),
                found: manifest.format,
            });
        }
        Ok(Some(manifest))
    }

    /// Writes the list durably, in the place of an earlier one.
    pub(super) fn write(&self, dir: &Path, files: &dyn Files) -> Result<(), BackupError> {
        let (from, to) = (dir.join(UNFINISHED), dir.join(BACKUP));
        let written = files.create(&from).and_then(|file| {
            write_all_at(&*file, &mut [IoSlice::new(&self.encode())], 0)?;
            file.sync()?;
            files.rename(&from, &to)?;
            files.sync_dir(dir)
        });
        written.map_err(at(&to))
    }

    fn encode(&self) -> Vec<u8> {
        // Numbers and texts can always be encoded.
        let list = serde_json::to_string(self).unwrap_or_default();
        let digest = Sha::of(list.as_bytes());
        format!("{list}\n{digest}\n").into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (list, digest) = text.split_once('\n')?;
        let intact = digest.strip_suffix('\n')? == Sha::of(list.as_bytes());
        let manifest: Self = serde_json::from_str(list).ok()?;
        intact.then_some(manifest)
    }
}

/// Name of the file of a segment.
pub(super) fn file_name(segment: u32, timeline: u64) -> String {
    format!("{segment:010}-{timeline}.log")
}

/// Whether a file of this name is a segment of some backup.
pub(super) fn is_segment(name: &str) -> bool {
    let parts = name
        .strip_suffix(".log")
        .and_then(|name| name.split_once('-'));
    let parsed = parts.and_then(|(segment, timeline)| {
        Some((segment.parse::<u32>().ok()?, timeline.parse::<u64>().ok()?))
    });
    parsed.is_some_and(|(segment, timeline)| file_name(segment, timeline) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let kept = |segment| Kept {
            segment,
            bytes: 10,
            sha256: Sha::of(b"some bytes"),
        };
        Manifest::new(3, "5a".repeat(16), 7, 1, vec![kept(3), kept(4)])
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_any_flipped_bit_is_seen() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::decode(&flipped), None, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Manifest::decode(&bytes[..length]), None);
        }
    }

    /// Every later version must read these bytes.
    #[test]
    fn a_list_has_the_bytes_of_its_version() {
        let list = r#"{"version":1,"format":3,"store":"5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a","timeline":7,"taken_ms":1,"segments":[{"segment":3,"bytes":10,"sha256":"1d5e9d2e8b3f0a6e9cbf6ec8fd1ff6ea84b15bce90a1ba3e3f5d8d7e9e0e0e0e"}]}"#;
        let expected = format!("{list}\n{}\n", Sha::of(list.as_bytes()));
        let decoded = Manifest::decode(expected.as_bytes()).expect("it is a list");
        assert_eq!(decoded.encode(), expected.as_bytes());
        assert_eq!((decoded.timeline, decoded.segments.len()), (7, 1));
    }

    #[test]
    fn only_the_names_of_segments_are_taken_for_such() {
        assert_eq!(file_name(7, 0), "0000000007-0.log");
        for (name, is) in [
            ("0000000007-0.log", true),
            ("0000000007-12345.log", true),
            ("0000000007.log", false),
            ("7-0.log", false),
            ("0000000007-00.log", false),
            ("0000000007--1.log", false),
            ("BACKUP", false),
        ] {
            assert_eq!(is_segment(name), is, "{name}");
        }
    }
}
