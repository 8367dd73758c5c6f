//! Lines of an archive.

use crate::hex;
use durable_streams_edge_client::{Offset, ProducerMark, Producers};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Version of the format. Programs that know only version 1 refuse it: they would lose the producers.
pub(crate) const VERSION: u32 = 2;
/// The first version, without producers.
pub(crate) const FIRST_VERSION: u32 = 1;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first line.
    Stream(Header),
    Record(Record),
    /// The line before the last one. Absent without producers.
    Producers(Remembered),
    /// The last line.
    End(End),
}

/// Description of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// Name on the server, never a whole URL.
    pub(crate) name: String,
    /// When the stream was created, in the form of RFC 3339. Absent for a server that does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<String>,
    /// URL of the stream. Absent with `created_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    pub(crate) content_type: String,
    pub(crate) closed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_secs: Option<u64>,
    /// In the form of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease_secs: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fork: Option<Fork>,
    /// Number of producers that the archive leaves out: those of version 1, and of a stream that was
    /// written to until the end of the export. Absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) producers_left_out: Option<u64>,
}

impl Header {
    /// Whether the stream, or the source of the fork, has a URL instead of a name.
    pub(crate) fn has_url(&self) -> bool {
        let source = self.fork.as_ref().map(|fork| &fork.source);
        let mut names = std::iter::once(&self.name).chain(source);
        names.any(|name| name.starts_with("http://") || name.starts_with("https://"))
    }

    /// Whether both describe the same stream. A stream of another server, or of a later life of the
    /// name, was created at another time.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        let source = |fork: &Fork| (fork.source.clone(), fork.offset.clone());
        self.name == other.name
            && self.created_at == other.created_at
            && self.url == other.url
            && self.content_type == other.content_type
            && self.fork.as_ref().map(source) == other.fork.as_ref().map(source)
    }
}

/// Source of a fork. The records of a fork are those after its offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fork {
    /// Name of the source.
    pub(crate) source: String,
    /// Offset in the source, in the exported server.
    pub(crate) offset: Offset,
    /// Bytes or messages of the source before the offset. Offsets change on import, and this number
    /// does not. It is 0 until the export is complete.
    pub(crate) position: u64,
}

/// Data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The bytes in base64.
    pub(crate) data: String,
    /// Offset after the record. Absent within a page of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Offset>,
}

/// Producers that the exported server remembered after the last record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    #[serde(flatten)]
    pub(crate) producers: Producers,
    /// SHA-256 in hexadecimal digits; see [`Remembered::new`].
    sha256: String,
}

impl Remembered {
    /// These producers with their digest: of a line `ID_HASH EPOCH SEQ LAST_USED_AT` for each, and of a
    /// line `closed_by ID_HASH EPOCH SEQ` if a producer closed the stream.
    pub(crate) fn new(producers: Producers) -> Self {
        let mark = |mark: &ProducerMark| format!("{} {} {}", mark.id_hash, mark.epoch, mark.seq);
        let mut digest = Sha256::new();
        for known in &producers.known {
            let used = known.last_used_at.as_deref().unwrap_or_default();
            digest.update(format!("{} {used}\n", mark(&known.last)));
        }
        if let Some(by) = &producers.closed_by {
            digest.update(format!("closed_by {}\n", mark(by)));
        }
        let digest = digest.finalize();
        Self {
            producers,
            sha256: hex(&digest),
        }
    }

    /// The fault that would make a server refuse these producers, if any.
    pub(crate) fn fault(&self, header: &Header) -> Option<&'static str> {
        if *self != Self::new(self.producers.clone()) {
            return Some("the digest of its producers is wrong");
        }
        let Producers { known, closed_by } = &self.producers;
        let mut ids = BTreeSet::new();
        if !known.iter().all(|known| ids.insert(&known.last.id_hash)) {
            return Some("it has a producer twice");
        }
        let marks = known.iter().map(|known| &known.last).chain(closed_by);
        if !marks.into_iter().all(is_valid) {
            return Some("it has an invalid producer");
        }
        let is_open = closed_by.is_some() && !header.closed;
        is_open.then_some("a producer closed its stream, which is open")
    }
}

/// Whether a server could have remembered this append.
fn is_valid(mark: &ProducerMark) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    mark.id_hash.len() == 32
        && mark.id_hash.bytes().all(is_digit)
        && mark.epoch.max(mark.seq) <= MAX_NUMBER
}

/// Largest epoch and sequence number of the protocol: 2^53 - 1.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Count and digest of the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Messages of a JSON stream, or bytes of another stream.
    pub(crate) count: u64,
    /// SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}
