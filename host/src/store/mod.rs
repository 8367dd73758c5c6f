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
//!
//! # Durability
//!
//! A change is visible at once and may become durable later. Nothing that depends on one may leave
//! the host before: whoever read or wrote waits with what it has to say until the highest number it
//! met has [settled](Store::settle). Changes that can't be made durable are *lost*: they and all
//! that were built on them are gone as if they had never been made.

#[cfg(test)]
pub mod contract;
mod counter;
mod faults;
pub mod file;
#[cfg(test)]
pub(crate) mod held;
mod latency;
pub mod log;
mod memory;
pub mod open;
pub mod redis;
mod settle;
mod spin_dynamodb;
mod spin_redis;
mod spin_sqlite;
mod watch;

pub use faults::FaultyStore;
pub use file::FileStore;
pub use latency::LatencyStore;
pub use memory::MemoryStore;
pub use redis::RedisStore;
pub use settle::{Lost, Outlet, Settle, Settling};
pub use spin_dynamodb::SpinDynamodb;
pub use spin_redis::SpinRedis;
pub use spin_sqlite::SpinSqlite;
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

/// A key as it was seen, for the [`Store::swap`] that depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The value; none if the key was absent.
    pub value: Option<Bytes>,
    /// The number of the key's last change, so two versions of one key differ even where their
    /// values are equal. Of an absent key it may be a higher one.
    pub changed: ChangeNumber,
}

/// Why a store could not do what it was asked; says what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached now. The same call may work later; a write may have been applied.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// There is no room for this write, which was not applied. Reads go on.
    #[error("full: {0}")]
    Full(String),
    /// No writes are taken now, whatever their size; this one was not applied. Reads go on.
    #[error("refused: {0}")]
    Refused(String),
    /// The call itself can't work, now or later; nothing was applied.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// What somebody is told who may know of what is gone.
    pub(crate) fn lost() -> Self {
        Self::Unavailable("changes were lost that this instance may know of".to_owned())
    }
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
#[expect(
    clippy::missing_errors_doc,
    reason = "what all of them fail with is `StoreError`'s to say"
)]
pub trait Store: Send + Sync {
    /// The kind of store, such as `memory`; a wrapper says that of the store below it.
    fn kind(&self) -> &'static str;

    /// The same with all that is done to it.
    fn describe(&self) -> String {
        self.kind().to_owned()
    }

    /// Whether nothing survives a restart.
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether every call waits for a network, so that it takes many instances and threads to keep
    /// the store busy.
    fn blocks(&self) -> bool {
        false
    }

    /// Whether a [`swap`](Self::swap) of an absent key fails when somebody else wrote it first. It
    /// does, but for stores that imitate those where it does not.
    fn guards_creation(&self) -> bool {
        true
    }

    /// Whether every label opens the one bucket there is, for stores that imitate those where it
    /// does.
    fn ignores_labels(&self) -> bool {
        false
    }

    /// The key as it is now.
    fn get(&self, key: &str) -> Result<Seen, StoreError>;

    /// The same, or nothing where that would wait for a disk; then [`get`](Self::get) is to be
    /// called where waiting does no harm, after which this one answers.
    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.get(key).map(Some)
    }

    /// The key for a caller that swaps nothing. It may be as it was a moment ago, for stores that
    /// imitate those whose plain reads may lag behind; the number is never too high.
    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.get(key)
    }

    /// Whether a key has a value, and the number that [`Seen::changed`] would have.
    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        let seen = self.get(key)?;
        Ok((seen.value.is_some(), seen.changed))
    }

    /// Writes a value whatever was there; a swap of that key that is under way fails.
    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError>;

    /// Removes a key, if it is there; a swap of that key that is under way then fails.
    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError>;

    /// [`set`](Self::set) or [`delete`](Self::delete), by somebody who may know of whatever was
    /// there when there had been so many [`losses`](Self::losses). If there were more since, it is
    /// refused: it may be built on what is gone.
    fn write_since(
        &self,
        losses: u64,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<ChangeNumber, StoreError> {
        if self.losses() != losses {
            return Err(StoreError::lost());
        }
        match value {
            Some(value) => self.set(key, value),
            None => self.delete(key),
        }
    }

    /// Adds to a counter and says what it came to. An absent key counts as 0 and exists afterwards,
    /// also when `delta` is 0. A key that was written as anything but a counter, and a sum outside
    /// of `i64`, is [`StoreError::Other`]. A swap of that key that is under way fails.
    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError>;

    /// Writes a value if the key has not changed since it was `seen`, also where it was absent
    /// then. It may answer [`SwapError::Conflict`] for an absent key that did not change.
    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError>;

    /// A swap by somebody who did not look at the key, which has nothing to compare with.
    fn swap_unseen(&self, _key: &str, _value: Bytes) -> Result<ChangeNumber, SwapError> {
        let why = "swap before current".to_owned();
        Err(SwapError::Store(StoreError::Other(why)))
    }

    /// The number of the latest change of any key.
    fn latest_change(&self) -> ChangeNumber;

    /// The number of the last change of this key, or a higher one.
    fn last_change(&self, key: &str) -> ChangeNumber;

    /// Begins to wait for the next change of a key. Changes before this call returns may be missed
    /// by the watch, so [`last_change`](Self::last_change) is to be asked after it.
    fn watch(&self, key: &str) -> Watch;

    /// What becomes of this change and all before it: done once they are as durable as the store
    /// makes them.
    fn settle(&self, _change: ChangeNumber) -> Settle {
        Settle::done()
    }

    /// Whether no write is taken until the server is started again; reads go on.
    fn refuses_writes(&self) -> bool {
        false
    }

    /// How often changes were lost so far. What was read before a loss must not be built on after
    /// it.
    fn losses(&self) -> u64 {
        0
    }
}

/// What a wrapper leaves to the store in its field of this name.
macro_rules! pass_on {
    ($below:ident) => {
        fn is_volatile(&self) -> bool {
            self.$below.is_volatile()
        }

        fn blocks(&self) -> bool {
            self.$below.blocks()
        }

        fn latest_change(&self) -> $crate::store::ChangeNumber {
            self.$below.latest_change()
        }

        fn last_change(&self, key: &str) -> $crate::store::ChangeNumber {
            self.$below.last_change(key)
        }

        fn watch(&self, key: &str) -> $crate::store::Watch {
            self.$below.watch(key)
        }

        fn settle(&self, change: $crate::store::ChangeNumber) -> $crate::store::Settle {
            self.$below.settle(change)
        }

        fn refuses_writes(&self) -> bool {
            self.$below.refuses_writes()
        }

        fn losses(&self) -> u64 {
            self.$below.losses()
        }
    };
}
use pass_on;
