//! SHA-256 of a segment.

use crate::store::log::LogFile;
use ring::digest::{Context, SHA256};
use std::fmt::Write;
use std::io;

/// Bytes of one read.
const PIECE: u64 = 1 << 20;

/// A digest that grows with the bytes.
#[derive(Clone)]
pub(crate) struct Sha(Context);

impl Default for Sha {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha {
    /// Adds bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far: 64 hexadecimal digits.
    #[must_use]
    pub(crate) fn hex(&self) -> String {
        let digest = self.0.clone().finish();
        let mut hex = String::with_capacity(64);
        for byte in digest.as_ref() {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// The digest of these bytes.
    #[must_use]
    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut sha = Self::default();
        sha.add(bytes);
        sha.hex()
    }
}

/// Passes the first bytes of a file to `put`, piece by piece, each with its offset. Returns their
/// digest.
pub(super) fn read_through<E>(
    file: &dyn LogFile,
    bytes: u64,
    unreadable: impl Fn(io::Error) -> E,
    mut put: impl FnMut(&[u8], u64) -> Result<(), E>,
) -> Result<Sha, E> {
    let mut sha = Sha::default();
    let mut offset = 0_u64;
    let mut piece = vec![0; PIECE.min(bytes) as usize];
    while offset < bytes {
        let some = PIECE.min(bytes.saturating_sub(offset)) as usize;
        let place = piece.get_mut(..some).unwrap_or_default();
        file.read_at(place, offset).map_err(&unreadable)?;
        sha.add(place);
        put(place, offset)?;
        offset = offset.saturating_add(some as u64);
    }
    Ok(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of FIPS 180-2.
    #[test]
    fn the_digest_is_sha_256_and_grows_with_the_bytes() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha::of(b"abc"), expected);
        let mut sha = Sha::default();
        sha.add(b"a");
        assert_ne!(sha.hex(), expected);
        sha.add(b"bc");
        assert_eq!(sha.hex(), expected);
    }
}
