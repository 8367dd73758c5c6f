//! The files of a store that consists of copied segments.

use super::directory::{FORMAT, format_text, segment_name};
use super::format::{MANIFEST_VERSION, Names, StoreId, VERSION};
use super::manifest::{self, MANIFEST};

/// Names and contents of the files that turn copied segments into a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anatomy {
    /// Contents of [`FORMAT`](Self::FORMAT). A directory with this file is a store, so the file is
    /// written last.
    pub format: Vec<u8>,
    /// Contents of [`MANIFEST`](Self::MANIFEST).
    pub manifest: Vec<u8>,
}

impl Anatomy {
    /// Name of the file with the format's version and the store's identity.
    pub(crate) const FORMAT: &str = FORMAT;
    /// Name of the file that lists the segments.
    pub(crate) const MANIFEST: &str = MANIFEST;
    /// Newest version of the format that this program reads.
    pub(crate) const NEWEST: u32 = VERSION;

    /// Returns the files of a store with this identity and these segments, oldest first. `None` if
    /// the identity does not have 32 hexadecimal digits, this program does not read the version, or
    /// a segment is too long.
    #[must_use]
    pub(crate) fn of(
        version: u32,
        store: &str,
        segments: impl IntoIterator<Item = (u32, u64)>,
    ) -> Option<Self> {
        if !(MANIFEST_VERSION..=VERSION).contains(&version) {
            return None;
        }
        let id = StoreId::from_hex(store)?;
        let mut names = Names::default();
        let mut newest = None;
        for (number, bytes) in segments {
            names.add(number, Some(u32::try_from(bytes).ok()?));
            newest = newest.max(Some(number));
        }
        // The store goes on writing to the newest segment.
        names.add(newest?, None);
        Some(Self {
            format: format_text(version, id).into_bytes(),
            manifest: manifest::contents(id, &names),
        })
    }

    /// Name of a segment's file in a store.
    pub(crate) fn segment(number: u32) -> String {
        segment_name(number)
    }
}
