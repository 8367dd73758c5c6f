//! Change numbers, and keys as they were read.

use bytes::Bytes;

/// Number of a change in a whole store. Each change takes a higher number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeNumber(u64);

impl ChangeNumber {
    /// The number before any change.
    pub const ZERO: Self = Self(0);

    /// Wraps a number as a store counts it.
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

/// A key as it was read, for the [`Store::swap`](super::Store::swap) that depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The value, or `None` if the key was absent.
    pub value: Option<Bytes>,
    /// The number of the key's last change, so two versions of one key differ even where their
    /// values are equal. For an absent key the number may be higher.
    pub changed: ChangeNumber,
}
