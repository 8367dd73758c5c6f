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
    /// Keys that were in use, the newest first.
    pub retired: Vec<Retired>,
}

/// A key that another took the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// The public key.
    pub public: [u8; 32],
    /// When it was replaced, milliseconds since 1970.
    pub at_ms: u64,
    /// Whose prefix of names it was replaced for: the mark of its hash. None, if the caller had no
    /// prefix.
    pub prefix: Option<[u8; 4]>,
}

/// Their bytes, inside their envelope. The second list is left out while it is empty: servers of
/// before refuse it.
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
