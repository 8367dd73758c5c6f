//! Changes of keys, and keys as they were seen.

use bytes::Bytes;

/// Counts the changes of a whole store; grows with each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeNumber(u64);

impl ChangeNumber {
    /// Before any change.
    pub const ZERO: Self = Self(0);

    /// The number as a store counts it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A key as it was seen, for the [`Store::swap`](super::Store::swap) that depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The value; none if the key was absent.
    pub value: Option<Bytes>,
    /// The number of the key's last change, so two versions of one key differ even where their
    /// values are equal. Of an absent key it may be a higher one.
    pub changed: ChangeNumber,
}
