//! What the host keeps its keys and values in.
//!
//! A store knows keys, values, swaps and changes, and nothing of streams. Every backend and every
//! wrapper runs the public suite in [`contract`].
//!
//! # Atomicity and visibility
//!
//! Each method is atomic and linearizable: once one returned, every method that begins later, on
//! any thread, sees its effect. Nothing spans two keys.
//!
//! # Changes
//!
//! Every change of a key (a [`set`](Store::set), a [`delete`](Store::delete) of a key that was
//! there, an [`increment`](Store::increment), a successful [`swap`](Store::swap)) takes the next
//! [`ChangeNumber`] of the whole store. Who wants to know when a key changes after it was read
//! notes [`latest_change`](Store::latest_change), reads, and then waits until
//! [`last_change`](Store::last_change) of the key is above the number it noted: no change can be
//! missed in between. A store may forget the numbers of keys that are gone, but must then answer
//! with one that is too high: that costs a needless look, where one too low would cost a wake-up.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod log;
mod memory;
mod watch;

pub use memory::MemoryStore;
pub use watch::{Watch, Watchers};

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

/// What [`Store::current`] saw of a key, for the [`Store::swap`] that depends on it. Opaque: two
/// versions of one key differ even where the values are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(ChangeNumber);

/// Why a store could not do what it was asked; says what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached now. The same call may work later; a write may have been applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no room for this write, which was not applied. Reads go on.
    #[error("full: {0}")]
    Full(String),
    /// The call itself can't work, now or later; nothing was applied.
    #[error("{0}")]
    Other(String),
}

/// Why a swap was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The key changed since it was looked at; nothing was applied. Look again.
    #[error("the key changed since it was looked at")]
    Conflict,
    /// As for every other call.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key-value store; see the [module](self) for what all methods promise.
pub trait Store: Send + Sync {
    /// The name in the start-up line and in logs, such as `memory`.
    fn kind(&self) -> &'static str;

    /// The value of a key.
    fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Whether a key has a value.
    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.get(key)?.is_some())
    }

    /// Writes a value whatever was there; a swap of that key that is under way fails.
    fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError>;

    /// Removes a key, if it is there; a swap of that key that is under way then fails.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds to a counter and says what it came to. An absent key counts as 0 and exists afterwards,
    /// also when `delta` is 0. A key that was written as anything but a counter, and a sum outside
    /// of `i64`, is [`StoreError::Other`]. A swap of that key that is under way fails.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// The value of a key, and the version that a swap of it is to be conditioned on.
    fn current(&self, key: &str) -> Result<(Option<Bytes>, Version), StoreError>;

    /// Writes a value if the key has not changed since `expected` was taken, also where it was
    /// absent then. It may answer [`SwapError::Conflict`] for an absent key that did not change.
    fn swap(&self, key: &str, expected: Version, value: Bytes) -> Result<(), SwapError>;

    /// The number of the latest change of any key.
    fn latest_change(&self) -> ChangeNumber;

    /// The number of the last change of this key, or a higher one.
    fn last_change(&self, key: &str) -> ChangeNumber;

    /// Begins to wait for the next change of a key. Changes before this call returns may be missed
    /// by the watch, so [`last_change`](Self::last_change) is to be asked after it.
    fn watch(&self, key: &str) -> Watch;
}
