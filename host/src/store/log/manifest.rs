//! `MANIFEST`: the list of a store's segments.
//!
//! Without it a vanished segment would go unnoticed, and reads would return older values of its
//! keys. A segment is named before its first batch and removed from the list before its file is
//! deleted. So every named segment is present, and an unnamed one holds no live record.
//!
//! The file has two slots of the same size, written in turn, so the slot that is not being written
//! stays complete. The blocks of both slots are allocated when the file is made, so a change of the
//! list needs no room on a full disk.

use super::files::{Files, LogFile, write_all_at};
use super::format::{Names, SegmentNumber, StoreId};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const MANIFEST: &str = "MANIFEST";
/// Temporary name of `MANIFEST`, until it is completely written.
pub(super) const UNFINISHED: &str = "MANIFEST.new";

/// Smallest number of bytes of a slot. It has room for 2,000 segments.
const SLOT: u64 = 16 << 10;
/// Limit in bytes. A larger file would list more segments than can be open.
const MOST: u64 = 1 << 30;

/// The open manifest of a store.
pub(super) struct Manifest {
    dir: PathBuf,
    files: Arc<dyn Files>,
    id: StoreId,
    file: Arc<dyn LogFile>,
    /// Number of bytes of each of the two slots.
    slot: u64,
    generation: u64,
    names: Names,
}

/// Reason why the names could not be changed.
#[derive(Debug)]
pub(super) enum ManifestError {
    /// The disk holds the old names.
    Unchanged(io::Error),
    /// The disk may hold the old names or the new ones.
    Unknown(io::Error),
}

impl Manifest {
    /// Writes a new manifest, and replaces an existing one.
    pub(super) fn create(
        dir: &Path,
        files: Arc<dyn Files>,
        id: StoreId,
        names: Names,
    ) -> io::Result<Self> {
        let slot = slot_for(&names, id);
        let (generation, file) = (1, Self::write_new(dir, &*files, id, &names, 1, slot)?);
        files.rename(&dir.join(UNFINISHED), &dir.join(MANIFEST))?;
        files.sync_dir(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            files,
            id,
            file,
            slot,
            generation,
            names,
        })
    }

    /// Reads the manifest of a store. Returns `None` if it is missing or damaged.
    pub(super) fn read(dir: &Path, files: Arc<dyn Files>, id: StoreId) -> io::Result<Option<Self>> {
        let file = match files.open(&dir.join(MANIFEST)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // A killed process may have left a slot that is not on the disk yet. It must be synced,
        // since the next change overwrites the other slot.
        file.sync()?;
        let slot = file.length()?.min(MOST) / 2;
        let mut newest = None;
        for start in [0, slot] {
            let mut bytes = vec![0; slot as usize];
            file.read_at(&mut bytes, start)?;
            newest = newer(newest, Names::decode(&bytes, id));
        }
        Ok(newest.map(|(generation, names)| Self {
            dir: dir.to_owned(),
            files,
            id,
            file,
            slot,
            generation,
            names,
        }))
    }

    /// Whether the file still has its name.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_at(&self.dir.join(MANIFEST))
    }

    /// The segments of the store.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// Names a new segment, which takes the writes from here on. Notes the length of the segment
    /// that took them so far.
    pub(super) fn begin(
        &mut self,
        number: SegmentNumber,
        sealed: Option<(SegmentNumber, u32)>,
    ) -> Result<(), ManifestError> {
        let mut names = self.names.clone();
        if let Some((number, length)) = sealed {
            names.add(number, Some(length));
        }
        names.add(number, None);
        self.change(names)
    }

    /// Removes a segment from the list before its file is deleted.
    pub(super) fn forget(&mut self, number: SegmentNumber) -> Result<(), ManifestError> {
        let mut names = self.names.clone();
        names.remove(number);
        self.change(names)
    }

    fn change(&mut self, names: Names) -> Result<(), ManifestError> {
        if names == self.names {
            return Ok(());
        }
        let generation = self.generation.saturating_add(1);
        let bytes = names.encode(generation, self.id);
        if bytes.len() as u64 > self.slot {
            self.grow(&names, generation)?;
        } else {
            self.write(&bytes, generation)?;
        }
        self.generation = generation;
        self.names = names;
        Ok(())
    }

    fn write(&self, bytes: &[u8], generation: u64) -> Result<(), ManifestError> {
        let start = place(generation, self.slot);
        let write = |bytes| write_all_at(&*self.file, &mut [IoSlice::new(bytes)], start);
        if let Err(error) = write(bytes) {
            // The part that was written may already make the slot valid, so blank it.
            let blank = vec![0; bytes.len()];
            let taken_back = write(&blank).and_then(|()| self.file.sync());
            return Err(match taken_back {
                Ok(()) => ManifestError::Unchanged(error),
                Err(_) => ManifestError::Unknown(error),
            });
        }
        self.file.sync().map_err(ManifestError::Unknown)
    }

    /// Replaces the file by one with larger slots.
    fn grow(&mut self, names: &Names, generation: u64) -> Result<(), ManifestError> {
        let slot = slot_for(names, self.id);
        let file = Self::write_new(&self.dir, &*self.files, self.id, names, generation, slot)
            .map_err(ManifestError::Unchanged)?;
        let (from, to) = (self.dir.join(UNFINISHED), self.dir.join(MANIFEST));
        let renamed = self.files.rename(&from, &to);
        let synced = renamed.and_then(|()| self.files.sync_dir(&self.dir));
        synced.map_err(ManifestError::Unknown)?;
        self.file = file;
        self.slot = slot;
        Ok(())
    }

    /// Writes a file that will become the manifest.
    fn write_new(
        dir: &Path,
        files: &dyn Files,
        id: StoreId,
        names: &Names,
        generation: u64,
        slot: u64,
    ) -> io::Result<Arc<dyn LogFile>> {
        let file = files.create(&dir.join(UNFINISHED))?;
        let bytes = whole(id, names, generation, slot);
        write_all_at(&*file, &mut [IoSlice::new(&bytes)], 0)?;
        file.sync()?;
        Ok(file)
    }
}

/// Contents of the manifest of a store that was put together from these segments.
pub(super) fn contents(id: StoreId, names: &Names) -> Vec<u8> {
    whole(id, names, 1, slot_for(names, id))
}

/// Contents of a manifest with one slot in use.
fn whole(id: StoreId, names: &Names, generation: u64, slot: u64) -> Vec<u8> {
    let mut bytes = vec![0; slot.saturating_mul(2) as usize];
    let start = place(generation, slot) as usize;
    let encoded = names.encode(generation, id);
    if let Some(held) = bytes.get_mut(start..start.saturating_add(encoded.len())) {
        held.copy_from_slice(&encoded);
    }
    bytes
}

/// Offset of the slot of a generation.
const fn place(generation: u64, slot: u64) -> u64 {
    (generation % 2).saturating_mul(slot)
}

/// Size of slots with room for these names and as many more.
fn slot_for(names: &Names, id: StoreId) -> u64 {
    let bytes = names.encode(0, id).len() as u64;
    bytes.saturating_mul(2).next_power_of_two().max(SLOT)
}

/// Returns the newer of two slots. A slot that is not valid is `None`.
fn newer(one: Option<(u64, Names)>, other: Option<(u64, Names)>) -> Option<(u64, Names)> {
    [one, other].into_iter().flatten().max_by_key(|slot| slot.0)
}
