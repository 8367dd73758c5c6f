//! Interface of a store, and what a wrapper passes on to the store below it.

use super::change::{ChangeNumber, Seen};
use super::error::{StoreError, SwapError};
use super::settle::Settle;
use super::watch::Watch;
use bytes::Bytes;

/// A key-value store; see the [module](super) for what all methods promise.
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

    /// [`swap`](Self::swap) by a caller that may know of whatever was there when there had been so many
    /// [`losses`](Self::losses). If there were more since, it is refused.
    fn swap_since(
        &self,
        losses: u64,
        key: &str,
        seen: &Seen,
        value: Bytes,
    ) -> Result<ChangeNumber, SwapError> {
        if self.losses() != losses {
            return Err(StoreError::lost().into());
        }
        self.swap(key, seen, value)
    }

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

    /// The timeline of the store: a number that is raised whenever it goes back to an older state. One
    /// that rises while the store is open is a loss.
    fn timeline(&self) -> u64 {
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

        fn timeline(&self) -> u64 {
            self.$below.timeline()
        }
    };
}
pub(super) use pass_on;
