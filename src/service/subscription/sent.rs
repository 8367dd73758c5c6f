//! The token of a delivery to a webhook.

use crate::keys::NameHash;
use crate::subscription::{Acked, Fence};
use serde::{Deserialize, Serialize};

/// A delivery that was sent; its outcome is judged by this record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) subscription: NameHash,
    pub(super) life: u64,
    pub(super) fence: Fence,
    /// Streams with pending events, and the tails that were sent. A webhook that answers `done`
    /// acknowledges them.
    pub(super) acks: Vec<Acked>,
}
