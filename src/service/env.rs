//! The service's interface to its environment. Only `guest/` and tests implement it.
//!
//! # Guarantees of a store
//!
//! The service relies only on properties that every platform has, as measured on Spin 4.1 (SQLite,
//! Redis) and read in the sources of others. Each store property comes with the rule that follows:
//!
//! - Compare-and-swap covers one key; nothing else is atomic. The service keeps all data that
//!   changes together in one record, a stream's *head*.
//! - SQLite compares values, not versions. The service changes the bytes with every swap (a version
//!   counter), and never sets a key that is swapped.
//! - On SQLite a swap of an absent key overwrites any value written meanwhile. The service elects
//!   the creator of a record by a counter, the gate: see `records/election.rs`. A deletion leaves a
//!   tombstone, so a name needs only one such creation.
//! - Redis reports every swap as failed, even an applied one. Cosmos reports every error as a failed
//!   swap. The service takes no swap for failed before it reads the record again: see `append.rs`.
//! - A late write may still land after the store answered with an error. The service draws new
//!   chunk ids for each attempt, so a late write can't touch the chunks of another attempt.
//! - `get-many` and `list-keys` are broken, capped or unordered. The service reads single keys that
//!   it knows, and keeps names in its own registry.
//! - Stores keep counters in a format of their own, and any other value there can crash the store.
//!   The service gives gates keys of their own, and only increments them.
//! - A handle holds a connection, and an instance has few. The service drops handles as soon as it
//!   can.
//! - Values have at most 400 KB, sometimes less. The service keeps values below 256 KiB:
//!   `limits.rs`.
//! - An application gets as little as 50 writes and 1,000 reads a second. The service appends with
//!   one read and one write while the inline tail has room.
//!
//! The tests' stores (`service/tests/world.rs`, `tests/sim`) have these quirks. They end a test
//! that breaks one of these rules.

use crate::seam;
use crate::settings::Variables;

/// Why the store did not perform an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is unavailable; whether a write was applied is unknown.
    #[error("{0}")]
    Unavailable(String),
    /// The store has no room for the write, which was not applied.
    #[error("{0}")]
    Full(String),
    /// The store takes no writes now; this write was not applied.
    #[error("{0}")]
    Refused(String),
    /// The value of this key is damaged, and stays so.
    #[error("{0}")]
    Damaged(String),
}

/// Texts in an error of a platform's store that mean: no room, not applied. Redis says `OOM command
/// not allowed`. Spin's SQLite store says `SqliteFailure(Error { code: DiskFull, .. }, ..)` after
/// it rolled the transaction back.
const PLATFORM_IS_FULL: [&str; 2] = ["OOM ", "code: DiskFull"];

impl StoreError {
    /// Classifies an error by its text: `wasi:keyvalue` provides nothing else.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        let is_full = |text: &str| PLATFORM_IS_FULL.iter().any(|full| text.contains(full));
        match text {
            full if full.starts_with(seam::FULL) || is_full(&full) => Self::Full(full),
            refused if refused.starts_with(seam::REFUSED) => Self::Refused(refused),
            damaged if damaged.starts_with(seam::DAMAGED) => Self::Damaged(damaged),
            why => Self::Unavailable(why),
        }
    }

    /// Whether a write was certainly not applied.
    #[must_use]
    pub const fn refuses(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Refused(_))
    }
}

/// Why a swap was not confirmed. Some stores report every swap as failed, even an applied one. Only
/// a new read of the record shows the outcome.
#[derive(Debug)]
pub enum SwapError<Cas> {
    /// The store reports that the value was not the one last read. The handle reads it again.
    Failed(Cas),
    /// The store returned an error.
    Store(StoreError),
}

/// A key-value store with compare-and-swap, a clock, random bits, variables and a log.
///
/// The service relies on no property of the store that the [module](self) does not list.
#[expect(
    clippy::missing_errors_doc,
    reason = "`StoreError` documents all failures"
)]
pub trait Env {
    /// A compare-and-swap handle of one key. Dropped as soon as possible: hosts have few.
    type Cas;

    /// The value of `key`.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether `key` has a value.
    fn exists(&self, key: &str) -> Result<bool, StoreError>;

    /// Sets `key`, overwriting any value. Never used on keys that are swapped.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`; no error if it is absent.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds `delta` to the counter `key`, which begins with 0, and returns the sum.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// A handle of `key`.
    fn cas(&self, key: &str) -> Result<Self::Cas, StoreError>;

    /// The key's value, which the next swap of this handle is conditioned on.
    fn current(&self, cas: &Self::Cas) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets the key to `value` if its value is still the one that `current` returned.
    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Result<(), SwapError<Self::Cas>>;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Whether a waiting reader polls the store by itself, because no host reports changes.
    fn polls(&self) -> bool {
        false
    }

    /// Random bits, unpredictable to outsiders.
    fn random(&self) -> u64;

    /// All variables of the platform, or the reason why it can't read them. The reason is not the
    /// same as an empty list.
    fn variables(&self) -> Result<Variables, String>;

    /// A random number of this instance, the same in all its log lines.
    fn instance(&self) -> u64;

    /// Writes one line to the log.
    fn log(&self, line: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_platform_store_is_distinguished_from_a_failing_one() {
        type Meaning = fn(String) -> StoreError;
        let cases: [(&str, Meaning); 8] = [
            (
                "An error was signalled by the server - ResponseError: OOM command not allowed when \
                 used memory > 'maxmemory'.",
                StoreError::Full,
            ),
            (
                "SqliteFailure(Error { code: DiskFull, extended_code: 13 }, Some(\"database or disk is \
                 full\"))",
                StoreError::Full,
            ),
            (
                "SqliteFailure(Error { code: SystemIoFailure, extended_code: 778 }, Some(\"disk I/O \
                 error\"))",
                StoreError::Unavailable,
            ),
            (
                "SqliteFailure(Error { code: DatabaseBusy, extended_code: 5 }, Some(\"database is \
                 locked\"))",
                StoreError::Unavailable,
            ),
            ("insufficient-storage: no space", StoreError::Full),
            ("write-refused: read-only", StoreError::Refused),
            ("storage-damaged: byte 7", StoreError::Damaged),
            ("connection refused", StoreError::Unavailable),
        ];
        for (text, expected) in cases {
            let text = text.to_owned();
            assert_eq!(StoreError::from_text(text.clone()), expected(text));
        }
    }
}
