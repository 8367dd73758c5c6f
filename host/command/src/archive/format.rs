//! Lines of an archive.

use durable_streams_edge_client::{Offset, ProducerMark, Producers};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    pub(crate) name: String,
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
    /// These producers with their digest: of a line `ID_HASH EPOCH SEQ` for each, and of a line
    /// `closed_by ID_HASH EPOCH SEQ` if a producer closed the stream.
    pub(crate) fn new(producers: Producers) -> Self {
        let line = |mark: &ProducerMark| format!("{} {} {}\n", mark.id_hash, mark.epoch, mark.seq);
        let mut digest = Sha256::new();
        for mark in &producers.known {
            digest.update(line(mark));
        }
        if let Some(mark) = &producers.closed_by {
            digest.update(format!("closed_by {}", line(mark)));
        }
        let digest = digest.finalize();
        Self {
            producers,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Whether the digest is right.
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::new(self.producers.clone())
    }
}

/// Count and digest of the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// Messages of a JSON stream, or bytes of another stream.
    pub(crate) count: u64,
    /// SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}
