//! Signing keys of webhooks and tokens.

use super::Corrupt;
use super::codec::{Reader, Writer};

/// All signing keys of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// The secret for callback and claim tokens, which only this server verifies.
    pub secret: [u8; 32],
    /// The Ed25519 seed in use.
    pub seed: [u8; 32],
    /// Keys that were replaced, the newest first.
    pub retired: Vec<Retired>,
}

/// A key that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The public key.
    pub public: [u8; 32],
    /// When it was replaced, milliseconds since 1970.
    pub at_ms: u64,
    /// The mark of the hash of the name prefix that the rotating caller had. `None` if the caller
    /// had no prefix.
    pub prefix: Option<[u8; 4]>,
}

/// Encodes the keys, without the envelope. An empty second list is left out, because older servers
/// refuse it.
#[must_use]
pub fn encode(signing: &Signing) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.raw(&signing.secret);
    writer.raw(&signing.seed);
    let (own, others): (Vec<_>, Vec<_>) = signing
        .retired
        .iter()
        .partition(|retired| retired.prefix.is_none());
    writer.many(own.iter(), |writer, retired| write_key(writer, retired));
    if !others.is_empty() {
        writer.many(others.iter(), |writer, retired| {
            write_key(writer, retired);
            writer.raw(&retired.prefix.unwrap_or_default());
        });
    }
    writer.finish()
}

fn write_key(writer: &mut Writer, retired: &Retired) {
    writer.raw(&retired.public);
    writer.varint(retired.at_ms);
}

fn read_key(reader: &mut Reader<'_>) -> Result<Retired, Corrupt> {
    Ok(Retired {
        public: reader.array()?,
        at_ms: reader.varint()?,
        prefix: None,
    })
}

/// Decodes the keys; `None` if they do not exist yet.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn decode(bytes: &[u8]) -> Result<Option<Signing>, Corrupt> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader::new(bytes);
    let mut signing = Signing {
        secret: reader.array()?,
        seed: reader.array()?,
        retired: reader.many(read_key)?,
    };
    if !reader.is_empty() {
        let others = reader.many(|reader| {
            let key = read_key(reader)?;
            let prefix = Some(reader.array()?);
            Ok(Retired { prefix, ..key })
        })?;
        if others.is_empty() {
            return Err(Corrupt);
        }
        signing.retired.extend(others);
        signing
            .retired
            .sort_by_key(|retired| std::cmp::Reverse(retired.at_ms));
    }
    reader.end().map(|()| Some(signing))
}
