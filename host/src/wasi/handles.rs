//! Resources that an instance may open.

#![expect(
    unreachable_pub,
    reason = "the generated bindings re-export them, which needs no less"
)]

use crate::store::Seen;

/// Most buckets and swaps that an instance may have open.
pub(super) const MAX_HANDLES: usize = 256;

/// An open bucket.
pub struct Bucket;

/// A swap that is being prepared.
pub struct Cas {
    pub(super) key: String,
    pub(super) seen: Option<Seen>,
}
