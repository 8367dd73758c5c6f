//! Interface of a store, and the macro by which a wrapper delegates to the store below it.

use super::change::{ChangeNumber, Seen};
use super::error::{StoreError, SwapError};
use super::figures::Figures;
use super::log::Snapshots;
use super::settle::Settle;
use super::watch::Watch;
use bytes::Bytes;
use metrics::Histogram;

/// A key-value store. The [module](super) describes the guarantees of all methods.
#[expect(
    clippy::missing_errors_doc,
    reason = "`StoreError` documents all failures"
)]
pub trait Store: Send + Sync {
    /// The kind of store, such as `memory`. A wrapper returns the kind of the store below it.
    fn kind(&self) -> &'static str;

    /// The kind, with the wrappers around the store and their settings.
    fn describe(&self) -> String {
        self.kind().to_owned()
    }

    /// Whether nothing survives a restart.
    fn is_volatile(&self) -> bool {
        false
    }

    /// Whether every call waits for a network. The host then needs many instances and threads to
    /// keep the store busy.
    fn blocks(&self) -> bool {
        false
    }

    /// Whether a [`swap`](Self::swap) of an absent key fails if another writer created the key
    /// first. False only for stores that imitate backends without this guard.
    /// Wrappers of stores must pass it on, so there is no default.
    fn guards_creation(&self) -> bool;

    /// Whether a swap that fails with [`SwapError::Conflict`] was certainly not applied. False only for
    /// stores that imitate backends without this certainty.
    /// Wrappers of stores must pass it on, so there is no default.
    fn is_sure_of_conflicts(&self) -> bool;

    /// Whether every label opens the same single bucket. True only for stores that imitate such
    /// backends.
    fn ignores_labels(&self) -> bool {
        false
    }

    /// Reads the current state of the key.
    fn get(&self, key: &str) -> Result<Seen, StoreError>;

    /// Reads the key like [`get`](Self::get), or returns `None` if the read would wait for a disk.
    /// The caller then calls [`get`](Self::get) where blocking is allowed, and `get_now` returns
    /// the value afterwards.
    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.get(key).map(Some)
    }

    /// Reads the key for a caller that swaps nothing. Stores that imitate backends with lagging
    /// reads may return an older state. The number is never too high.
    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.get(key)
    }

    /// Returns whether a key has a value, and the number that [`Seen::changed`] would have.
    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        let seen = self.get(key)?;
        Ok((seen.value.is_some(), seen.changed))
    }

    /// Writes a value unconditionally. A concurrent swap of the key fails.
    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError>;

    /// Removes a key, if present. A concurrent swap of the key then fails.
    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError>;

    /// [`set`](Self::set) or [`delete`](Self::delete) by a caller that read the store after this
    /// many [`losses`](Self::losses). After a further loss the store refuses the write, since it
    /// may be built on lost values.
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

    /// Adds to a counter and returns the sum. An absent key counts as 0 and exists afterwards, also
    /// when `delta` is 0. The call fails with [`StoreError::Other`] if the value is not a counter
    /// or the sum is outside of `i64`. A concurrent swap of the key fails.
    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError>;

    /// Writes a value if the key has not changed since it was `seen`, including a key that was
    /// absent then. The store may return [`SwapError::Conflict`] for an absent key that did not
    /// change.
    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError>;

    /// [`swap`](Self::swap) by a caller that read the store after this many
    /// [`losses`](Self::losses). The store refuses the swap after a further loss.
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

    /// A swap by a caller that did not read the key. There is no state to compare with.
    fn swap_unseen(&self, _key: &str, _value: Bytes) -> Result<ChangeNumber, SwapError> {
        let why = "swap before current".to_owned();
        Err(SwapError::Store(StoreError::Other(why)))
    }

    /// The number of the latest change of any key.
    fn latest_change(&self) -> ChangeNumber;

    /// The number of the last change of this key, or a higher one.
    fn last_change(&self, key: &str) -> ChangeNumber;

    /// Begins to wait for the next change of a key. The watch may miss changes made before this
    /// call returns, so the caller must read [`last_change`](Self::last_change) after it.
    fn watch(&self, key: &str) -> Watch;

    /// DeliveryResult of this change and all earlier ones. It is ready once they are as durable as the
    /// store makes them.
    fn settle(&self, _change: ChangeNumber) -> Settle {
        Settle::done()
    }

    /// Whether the store refuses all writes until the server is restarted. Reads go on.
    fn refuses_writes(&self) -> bool {
        false
    }

    /// Number of losses of changes so far. Values read before a loss must not be built on after it.
    fn losses(&self) -> u64 {
        0
    }

    /// The timeline of the store: a number that rises whenever the store goes back to an older
    /// state. A rise while the store is open is a loss.
    fn timeline(&self) -> u64 {
        0
    }

    /// Figures of a store in files. None for other stores.
    fn figures(&self) -> Option<Figures> {
        None
    }

    /// Lets a store in files record the times of its batches, and of its syncs. Only the first call
    /// counts.
    fn measure(&self, _commits: Histogram, _syncs: Histogram) {}

    /// Since when the store serves after an absence, milliseconds since 1970; 0 without an absence.
    /// Instances that began earlier are replaced: they would judge leases by the earlier time.
    fn serving_since_ms(&self) -> u64 {
        0
    }

    /// Access to snapshots for a backup. `None` if the store is not in files.
    fn snapshots(&self) -> Option<Snapshots> {
        None
    }
}

/// Delegates these methods to the store in the named field of a wrapper.
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

        fn figures(&self) -> Option<$crate::store::Figures> {
            self.$below.figures()
        }

        fn measure(&self, commits: ::metrics::Histogram, syncs: ::metrics::Histogram) {
            self.$below.measure(commits, syncs);
        }

        fn serving_since_ms(&self) -> u64 {
            self.$below.serving_since_ms()
        }

        fn snapshots(&self) -> Option<$crate::store::log::Snapshots> {
            self.$below.snapshots()
        }
    };
}
pub(crate) use pass_on;
