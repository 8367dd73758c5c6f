//! Files of a store's directory besides its data.

use super::error::OpenError;
use super::files::{Files, LogFile, write_all_at};
use super::format::{MANIFEST_VERSION, Names, OLDEST_VERSION, SegmentNumber, StoreId, VERSION};
use super::manifest::{self, Manifest};
use super::reserve;
use std::any::Any;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const FORMAT: &str = "FORMAT";
/// Temporary name of `FORMAT`, until it is completely written.
const UNFINISHED: &str = "FORMAT.new";
const LOCK: &str = "LOCK";
/// Exists at the root of a mounted file system.
const LOST_AND_FOUND: &str = "lost+found";
/// Names in a directory that may become a store. An interrupted first start left them.
const OTHERS: [&str; 7] = [
    LOCK,
    UNFINISHED,
    LOST_AND_FOUND,
    manifest::MANIFEST,
    manifest::UNFINISHED,
    reserve::RESERVE,
    reserve::UNFINISHED,
];
const TITLE: &str = "durable-streams log ";
/// Limit in bytes. The head of a `FORMAT` of any version is shorter.
const FORMAT_BYTES: u64 = 4096;

/// A locked directory that is known to be a store.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) files: Arc<dyn Files>,
    pub(super) id: StoreId,
    version: u32,
    _locks: [Box<dyn Any + Send + Sync>; 2],
}

impl Directory {
    /// Opens the directory of a store, or turns an empty or absent one into a store.
    pub(super) fn open(path: &Path, files: Arc<dyn Files>) -> Result<Self, OpenError> {
        files.create_dir(path).map_err(io_at(path))?;
        Self::open_existing_or(path, files, |files| {
            let id = StoreId::random();
            // This version refuses a store without a manifest, so the manifest is written first.
            Manifest::create(path, Arc::clone(files), id, Names::default()).map_err(io_at(path))?;
            write_format(path, &**files, id).map_err(io_at(path))?;
            Ok((VERSION, id))
        })
    }

    /// Opens the directory of an existing store.
    pub(super) fn open_existing(path: &Path, files: Arc<dyn Files>) -> Result<Self, OpenError> {
        let known = is_store(path, &*files).map_err(io_at(path))?;
        let missing = || OpenError::Missing(path.to_owned());
        known.ok_or_else(missing)?;
        Self::open_existing_or(path, files, |_| Err(missing()))
    }

    fn open_existing_or(
        path: &Path,
        files: Arc<dyn Files>,
        otherwise: impl FnOnce(&Arc<dyn Files>) -> Result<(u32, StoreId), OpenError>,
    ) -> Result<Self, OpenError> {
        let io = io_at(path);
        // Write nothing into a foreign directory, not even a lock.
        let known = is_store(path, &*files).map_err(&io)?;
        if known == Some(false) {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        // Lock the directory, since the lock file can be deleted under a server. Lock the file too,
        // since older versions lock nothing else.
        let dir_lock = files.lock_dir(path).map_err(&io)?;
        let in_use = || OpenError::InUse(path.to_owned());
        let dir_lock = dir_lock.ok_or_else(in_use)?;
        let lock = files.lock(&path.join(LOCK)).map_err(&io)?;
        let lock = lock.ok_or_else(in_use)?;
        // Another process may have turned the directory into a store first.
        let (version, id) = if is_store(path, &*files).map_err(&io)? == Some(true) {
            let text = read(&*files, &path.join(FORMAT)).map_err(&io)?;
            parse(&text, path)?
        } else {
            otherwise(&files)?
        };
        Ok(Self {
            path: path.to_owned(),
            files,
            id,
            version,
            _locks: [dir_lock, lock],
        })
    }

    /// Whether this store was written by a version with manifests.
    pub(super) const fn has_manifest(&self) -> bool {
        self.version >= MANIFEST_VERSION
    }

    /// Reads the manifest. Returns `None` if it is missing or damaged.
    pub(super) fn manifest(&self) -> io::Result<Option<Manifest>> {
        Manifest::read(&self.path, Arc::clone(&self.files), self.id)
    }

    /// Upgrades the directory to this version, with these segments, durably. Older versions refuse
    /// the directory from then on.
    pub(super) fn upgrade(&mut self, names: Names) -> Result<Manifest, OpenError> {
        let manifest = Manifest::create(&self.path, Arc::clone(&self.files), self.id, names)
            .map_err(io_at(&self.path.join(manifest::MANIFEST)))?;
        let written = write_format(&self.path, &*self.files, self.id);
        written.map_err(io_at(&self.path.join(FORMAT)))?;
        self.version = VERSION;
        Ok(manifest)
    }

    pub(super) fn segment_path(&self, number: SegmentNumber) -> PathBuf {
        self.path.join(segment_name(number))
    }

    /// The segments in the directory, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<SegmentNumber>> {
        let names = self.files.list(&self.path)?;
        let mut numbers: Vec<SegmentNumber> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".log"))
            .filter(|digits| digits.len() == 10)
            .filter_map(|digits| digits.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// Name of a segment's file.
pub(super) fn segment_name(number: SegmentNumber) -> String {
    format!("{number:010}.log")
}

/// Whether a directory is a store. `None` if it could become one.
fn is_store(path: &Path, files: &dyn Files) -> io::Result<Option<bool>> {
    let names = files.list(path)?;
    if names.iter().any(|name| name == FORMAT) {
        return Ok(Some(true));
    }
    let free = names.iter().all(|name| OTHERS.contains(&name.as_str()));
    Ok(if free { None } else { Some(false) })
}

fn write_format(path: &Path, files: &dyn Files, id: StoreId) -> io::Result<()> {
    let unfinished = path.join(UNFINISHED);
    let file = files.create(&unfinished)?;
    let text = format_text(VERSION, id);
    write_all_at(&*file, &mut [IoSlice::new(text.as_bytes())], 0)?;
    file.sync()?;
    files.rename(&unfinished, &path.join(FORMAT))?;
    files.sync_dir(path)
}

/// Contents of the file `FORMAT`.
pub(super) fn format_text(version: u32, id: StoreId) -> String {
    format!("{TITLE}{version}\n{}\n", id.to_hex())
}

fn read(files: &dyn Files, path: &Path) -> io::Result<String> {
    let file: Arc<dyn LogFile> = files.open(path)?;
    let length = file.length()?.min(FORMAT_BYTES);
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(text: &str, path: &Path) -> Result<(u32, StoreId), OpenError> {
    let foreign = || OpenError::Foreign(path.to_owned());
    let mut lines = text.lines();
    let title = lines.next().and_then(|line| line.strip_prefix(TITLE));
    let found: u64 = title
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(foreign)?;
    if found > u64::from(VERSION) {
        return Err(OpenError::Newer {
            directory: path.to_owned(),
            found,
            reads: VERSION.into(),
        });
    }
    let version = u32::try_from(found).ok();
    let version = version.filter(|version| *version >= OLDEST_VERSION);
    let id = lines.next().and_then(StoreId::from_hex);
    version.zip(id).ok_or_else(foreign)
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.to_owned(),
        source,
    }
}
