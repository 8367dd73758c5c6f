//! The sender of a request.

use super::rights::Rights;

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The sender's rights.
    pub rights: Rights,
    /// When the rights expire, in milliseconds since 1970.
    pub until_ms: Option<u64>,
}

impl Caller {
    /// Any sender, where access control is off.
    #[must_use]
    pub const fn anyone() -> Self {
        Self {
            rights: Rights::all(),
            until_ms: None,
        }
    }
}
