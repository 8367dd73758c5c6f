//! The keys that webhooks and tokens are signed with.

use super::Corrupt;
use super::codec::{Reader, Writer};

/// All keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// Of callback and claim tokens, which only this server reads.
    pub secret: [u8; 32],
    /// The Ed25519 seed in use.
    pub seed: [u8; 32],
    /// Public keys that were in use, with the time they were replaced, milliseconds since 1970.
    pub retired: Vec<([u8; 32], u64)>,
}

/// Their bytes, inside their envelope.
#[must_use]
pub fn encode(signing: &Signing) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.raw(&signing.secret);
    writer.raw(&signing.seed);
    writer.many(signing.retired.iter(), |writer, (public, retired_ms)| {
        writer.raw(public);
        writer.varint(*retired_ms);
    });
    writer.finish()
}

/// The keys with these bytes; none, where they are not made yet.
///
/// # Errors
///
/// [`Corrupt`], also of a version that is not known.
pub fn decode(bytes: &[u8]) -> Result<Option<Signing>, Corrupt> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader::new(bytes);
    let signing = Signing {
        secret: reader.array()?,
        seed: reader.array()?,
        retired: reader.many(|reader| Ok((reader.array()?, reader.varint()?)))?,
    };
    reader.end().map(|()| Some(signing))
}
