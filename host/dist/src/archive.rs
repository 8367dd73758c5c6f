//! Archives and digests whose bytes depend only on the entries.

use crate::error::Error;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::io::Write;
use tar::{EntryType, Header};

/// Mode of a program.
pub(crate) const PROGRAM: u32 = 0o755;
/// Mode of any other file.
pub(crate) const FILE: u32 = 0o644;
/// User and group of the server in the image, as in other images without root.
pub(crate) const NOBODY: u64 = 65_532;

/// One file or directory of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    /// Path without a leading slash. A directory's path ends with a slash.
    pub(crate) path: String,
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: u64,
    /// Bytes of the file; empty for a directory.
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Entry<'a> {
    /// A file of root.
    pub(crate) fn file(
        path: impl Into<String>,
        mode: u32,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Self {
        Self {
            path: path.into(),
            mode,
            owner: 0,
            bytes: bytes.into(),
        }
    }

    /// A file of text, for everybody to read.
    pub(crate) fn text(path: impl Into<String>, text: &'a str) -> Self {
        Self::file(path, FILE, text.as_bytes())
    }

    /// A directory. `path` ends with a slash.
    pub(crate) fn directory(path: &str, mode: u32, owner: u64) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            owner,
            bytes: Cow::Borrowed(&[]),
        }
    }

    fn is_directory(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The same entry below a directory of the archive.
    pub(crate) fn below(mut self, directory: &str) -> Self {
        self.path = format!("{directory}/{}", self.path);
        self
    }
}

/// Returns a tar archive of the entries, sorted by path. `epoch` is the time of all entries, in Unix
/// seconds.
pub(crate) fn tar(mut entries: Vec<Entry<'_>>, epoch: u64) -> Result<Vec<u8>, Error> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut builder = tar::Builder::new(Vec::new());
    for entry in &entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(match entry.is_directory() {
            true => EntryType::Directory,
            false => EntryType::Regular,
        });
        header.set_mode(entry.mode);
        header.set_uid(entry.owner);
        header.set_gid(entry.owner);
        header.set_mtime(epoch);
        header.set_size(entry.bytes.len() as u64);
        builder.append_data(&mut header, &entry.path, &*entry.bytes)?;
    }
    Ok(builder.into_inner()?)
}

/// Compresses with gzip, without a time or a name in the header.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::default());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of some bytes, in lower-case hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    sha256(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_does_not_depend_on_the_order_of_its_entries() {
        let entries = || {
            vec![
                Entry::file("b/program", PROGRAM, b"x".as_slice()),
                Entry::text("a", "text"),
                Entry::directory("data/", 0o700, NOBODY),
            ]
        };
        let mut turned = entries();
        turned.reverse();
        let archive = tar(entries(), 7).unwrap();
        assert_eq!(archive, tar(turned, 7).unwrap());
        let mut read = tar::Archive::new(&*archive);
        let found: Vec<(String, u32, u64, u64)> = read
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                let path = entry.path().unwrap().display().to_string();
                let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap());
                (path, mode, owner, header.mtime().unwrap())
            })
            .collect();
        let expected = [
            ("a", 0o644, 0, 7),
            ("b/program", 0o755, 0, 7),
            ("data/", 0o700, NOBODY, 7),
        ];
        assert_eq!(found, expected.map(|(p, m, o, t)| (p.to_owned(), m, o, t)));
    }

    #[test]
    fn a_digest_is_the_one_of_sha256sum() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
