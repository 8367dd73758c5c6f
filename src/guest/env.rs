//! The world of the service: WASI's key-value store, clock, random bits and variables.

use super::bindings::wasi::config::store as config;
use super::bindings::wasi::keyvalue::{atomics, store};
use super::platform;
use crate::seam;
use crate::service::env::{Env, StoreError, SwapError};
use crate::settings::Variables;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The label of the store, as in `spin.toml`.
const STORE: &str = "default";

/// Whether the store reported in this step that a value is not resident in memory.
static MISSED: AtomicBool = AtomicBool::new(false);

/// Begins a step of the exchange: clears [`MISSED`].
#[cfg(feature = "p3")]
pub(super) fn begin_step() {
    MISSED.store(false, Ordering::Relaxed);
}

/// The environment that the platform provides.
#[derive(Debug)]
pub(super) struct World {
    bucket: OnceCell<Rc<store::Bucket>>,
    instance: OnceCell<u64>,
    /// The current time, while a step runs at a fixed time.
    now: Cell<Option<u64>>,
    /// Whether the driver of this step polls the store for its waiting readers.
    polls: Cell<bool>,
}

impl World {
    pub(super) const fn new() -> Self {
        Self {
            bucket: OnceCell::new(),
            instance: OnceCell::new(),
            now: Cell::new(None),
            polls: Cell::new(false),
        }
    }

    /// Fixes the current time until the next call, or releases it.
    pub(super) fn set_now(&self, now: Option<u64>) {
        self.now.set(now);
    }

    /// Notes whether the driver of the next step polls the store for its waiting readers.
    pub(super) fn set_polls(&self, polls: bool) {
        self.polls.set(polls);
    }

    fn bucket(&self) -> Result<Rc<store::Bucket>, StoreError> {
        if let Some(bucket) = self.bucket.get() {
            return Ok(Rc::clone(bucket));
        }
        let bucket = Rc::new(store::open(STORE).map_err(failed)?);
        Ok(Rc::clone(self.bucket.get_or_init(|| bucket)))
    }
}

fn failed(error: store::Error) -> StoreError {
    match error {
        store::Error::NoSuchStore => StoreError::Unavailable(format!(
            "there is no key-value store {STORE}: give the component one, as spin.toml does with \
                 key_value_stores"
        )),
        store::Error::AccessDenied => {
            StoreError::Unavailable("access to the key-value store is denied".to_owned())
        }
        store::Error::Other(why) => {
            if why == seam::NOT_RESIDENT {
                MISSED.store(true, Ordering::Relaxed);
            }
            StoreError::from_text(why)
        }
    }
}

/// A compare-and-swap handle with its key, which wakes the readers that wait for the key.
pub(super) struct Cas {
    key: String,
    handle: atomics::Cas,
}

impl Env for World {
    type Cas = Cas;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.bucket()?.get(key).map_err(failed)
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.bucket()?.exists(key).map_err(failed)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.bucket()?.set(key, value).map_err(failed)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.bucket()?.delete(key).map_err(failed)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        atomics::increment(&*self.bucket()?, key, delta).map_err(failed)
    }

    fn cas(&self, key: &str) -> Result<Cas, StoreError> {
        let handle = atomics::Cas::new(&*self.bucket()?, key).map_err(failed)?;
        Ok(Cas {
            key: key.to_owned(),
            handle,
        })
    }

    fn current(&self, cas: &Cas) -> Result<Option<Vec<u8>>, StoreError> {
        cas.handle.current().map_err(failed)
    }

    fn swap(&self, cas: Cas, value: &[u8]) -> Result<(), SwapError<Cas>> {
        let Cas { key, handle } = cas;
        // A swap that reports a failure may still have been applied.
        platform::swapped(&key);
        atomics::swap(handle, value).map_err(|error| match error {
            atomics::CasError::StoreError(error) => SwapError::Store(failed(error)),
            atomics::CasError::CasFailed(handle) => SwapError::Failed(Cas { key, handle }),
        })
    }

    fn now_ms(&self) -> u64 {
        self.now.get().unwrap_or_else(platform::now_ms)
    }

    fn polls(&self) -> bool {
        self.polls.get()
    }

    fn random(&self) -> u64 {
        platform::random()
    }

    fn variables(&self) -> Result<Variables, String> {
        let all = config::get_all().map_err(|error| format!("{error:?}"))?;
        Ok(all.into_iter().collect())
    }

    fn instance(&self) -> u64 {
        *self.instance.get_or_init(platform::random)
    }

    fn log(&self, line: &str) {
        use std::io::Write as _;
        if MISSED.load(Ordering::Relaxed) {
            return;
        }
        // One write for the whole line: other instances may write to the same place. A failure to
        // log can't be reported anywhere.
        let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    }
}
