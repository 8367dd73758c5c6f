//! The documents of the backup requests.

use super::disk::Moment;
use serde::{Deserialize, Serialize};

/// Path of the backups on the admin listener.
pub(super) const BACKUP: &str = "/backup";

/// Response to the request that begins a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Identity of the backup, for the paths of its segments.
    pub id: String,
    /// The moment.
    #[serde(flatten)]
    pub moment: Moment,
}

/// Response to the request for the digest of a segment.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Digest {
    /// SHA-256: 64 hexadecimal digits.
    pub sha256: String,
}
