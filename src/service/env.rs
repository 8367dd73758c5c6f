//! What the service needs from the world. Only `guest/` and tests implement it.
//!
//! # What may be counted on of a store
//!
//! No more than what every platform gives, as measured on Spin 4.1 (SQLite, Redis) and read in the
//! sources of others:
//!
//! | what stores do | so the service |
//! |---|---|
//! | compare-and-swap covers one key; nothing else is atomic | keeps all that changes together in one record, a stream's *head* |
//! | SQLite compares values, not versions | changes the bytes with every swap (a version counter), and never sets a key that is swapped |
//! | SQLite: a swap of an absent key overwrites whatever came meanwhile | elects the creator of a record by a counter, the gate: see `records/election.rs`. A deletion leaves a tombstone, so a name is created so once |
//! | Redis: every swap is said to have failed, also one that was applied; Cosmos: so is every error | takes no swap for failed before it read the record again: see `append.rs` |
//! | a late write may still land after the store answered with an error | draws new ids for the chunks of each attempt, so that it can touch nothing of another's |
//! | `get-many` and `list-keys` are broken, capped or without order | reads single keys that it knows; names are in a registry of its own |
//! | counters are kept in a form of their own, and any other value there can end the store | gives gates keys of their own, only ever incremented |
//! | a handle keeps a connection; an instance has few | drops handles as soon as it can |
//! | values have at most 400 KB, sometimes less | keeps values below 256 KiB: `limits.rs` |
//! | as little as 50 writes a second and 1,000 reads an application | appends with one read and one write while the inline tail has room |
//!
//! The tests' stores (`service/tests/world.rs`, `tests/sim`) have these quirks and end a test when
//! a rule on the right is broken.

use crate::seam;
use crate::settings::Variables;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't now; whether a write was applied is not known.
    #[error("{0}")]
    Unavailable(String),
    /// It has no room for the write, which was not applied.
    #[error("{0}")]
    Full(String),
    /// It takes no writes now; this one was not applied.
    #[error("{0}")]
    Refused(String),
    /// The value of this key is not as it was written. It stays so.
    #[error("{0}")]
    Damaged(String),
}

/// Texts in an error of a platform's store that mean: no room, not applied. Redis says `OOM command
/// not allowed`; Spin's SQLite store says `SqliteFailure(Error { code: DiskFull, .. }, ..)`, whose
/// transaction was rolled back.
const PLATFORM_IS_FULL: [&str; 2] = ["OOM ", "code: DiskFull"];

impl StoreError {
    /// The meaning of an error's text, which is all that `wasi:keyvalue` has.
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

/// Why a swap was not confirmed. Some stores say so of every swap, the applied ones too, so nothing
/// follows from it before the record was read again.
#[derive(Debug)]
pub enum SwapError<Cas> {
    /// The store says that the value was not the one last seen. The handle reads it anew.
    Failed(Cas),
    /// The store did not answer as it should.
    Store(StoreError),
}

/// A key-value store with compare-and-swap, a clock, random bits, variables and a log.
///
/// Of the store no more may be counted on than the [module](self) says.
#[expect(
    clippy::missing_errors_doc,
    reason = "what all of them fail with is `StoreError`'s to say"
)]
pub trait Env {
    /// A compare-and-swap handle of one key. Dropped as soon as possible: hosts have few.
    type Cas;

    /// The value of `key`.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether `key` has a value.
    fn exists(&self, key: &str) -> Result<bool, StoreError>;

    /// Sets `key`, whatever it was. Never used on keys that are swapped.
    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`; no error if it is absent.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// Adds `delta` to the counter `key`, which begins with 0, and returns the sum.
    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// A handle of `key`.
    fn cas(&self, key: &str) -> Result<Self::Cas, StoreError>;

    /// The key's value, which the next swap of this handle is conditioned on.
    fn current(&self, cas: &Self::Cas) -> Result<Option<Vec<u8>>, StoreError>;

    /// Sets the key to `value` if it still is what `current` returned.
    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Result<(), SwapError<Self::Cas>>;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Random bits, unpredictable to outsiders.
    fn random(&self) -> u64;

    /// All variables that the platform hands over; or why it can't tell them, which is not the same
    /// as having none.
    fn variables(&self) -> Result<Variables, String>;

    /// A random number of this instance, the same in all its lines.
    fn instance(&self) -> u64;

    /// Writes one line to the log.
    fn log(&self, line: &str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platforms_store_that_is_full_is_told_from_one_that_fails() {
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
