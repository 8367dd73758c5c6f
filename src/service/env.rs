//! What the service needs from the world. Only `guest/` and tests implement it.

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
}

impl StoreError {
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
/// The store is the portable envelope of DESIGN section 3: compare-and-swap covers one key, a swap
/// of an absent key may overwrite what another wrote meanwhile, and any error or failed swap may
/// have been applied.
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

    /// The value of a variable, if the platform has it.
    fn variable(&self, name: &str) -> Option<String>;

    /// A random number of this instance, the same in all its lines.
    fn instance(&self) -> u64;

    /// Writes one line to the log.
    fn log(&self, line: &str);
}
