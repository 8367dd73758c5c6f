//! `wasi:keyvalue` draft2 over a [`Store`](crate::store::Store).
//!
//! A guest that exceeds a limit gets an error, never a trap.

use super::bindings::wasi::keyvalue::{atomics, store};
use super::handles::{Bucket, Cas};
use super::state::InstanceState;
use crate::store::{StoreError, SwapError};
use atomics::CasError;
use bytes::Bytes;
use durable_streams_edge::seam::{DAMAGED, FULL, REFUSED};
use store::Error;
use wasmtime::component::Resource;

/// Label of the only bucket.
const LABEL: &str = "default";
/// Longest key. The component's keys have at most 200 bytes.
const MAX_KEY_BYTES: usize = 1024;
/// Largest value, as on the platforms that the component supports.
const MAX_VALUE_BYTES: usize = 1_000_000;
fn other(text: &str) -> Error {
    Error::Other(text.to_owned())
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(detail) => Self::Other(format!("{FULL}: {detail}")),
            StoreError::Refused(detail) => Self::Other(format!("{REFUSED}: {detail}")),
            StoreError::Damaged(detail) => Self::Other(format!("{DAMAGED}: {detail}")),
            StoreError::Unavailable(detail) => Self::Other(format!("unavailable: {detail}")),
            StoreError::Other(detail) => Self::Other(detail),
        }
    }
}

fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(other("a key has 1 to 1024 bytes")),
    }
}

fn check_value(value: &[u8]) -> Result<(), Error> {
    match value.len() {
        0..=MAX_VALUE_BYTES => Ok(()),
        _ => Err(other("a value has at most 1000000 bytes")),
    }
}

/// Returns the new handle, or an error if too many are open.
fn opened<T>(handle: Option<Resource<T>>) -> Result<Resource<T>, Error> {
    handle.ok_or_else(|| other("too many open handles"))
}

impl store::Host for InstanceState {
    fn open(&mut self, identifier: String) -> Result<Resource<Bucket>, Error> {
        match identifier == LABEL || self.keys.ignores_labels() {
            true => opened(self.open_handle(Bucket)),
            false => Err(Error::NoSuchStore),
        }
    }
}

impl store::HostBucket for InstanceState {
    fn get(&mut self, _: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Error> {
        check_key(&key)?;
        Ok(self.keys.read(&key)?.value.map(Vec::from))
    }

    fn set(&mut self, _: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), Error> {
        check_key(&key)?;
        check_value(&value)?;
        Ok(self.keys.set(&key, Bytes::from(value))?)
    }

    fn delete(&mut self, _: Resource<Bucket>, key: String) -> Result<(), Error> {
        check_key(&key)?;
        Ok(self.keys.delete(&key)?)
    }

    fn exists(&mut self, _: Resource<Bucket>, key: String) -> Result<bool, Error> {
        check_key(&key)?;
        Ok(self.keys.exists(&key)?)
    }

    fn list_keys(
        &mut self,
        _: Resource<Bucket>,
        _: Option<String>,
    ) -> Result<store::KeyResponse, Error> {
        // The component never lists keys, as most of its backends list them badly.
        Err(other("this store does not list keys"))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.close_handle(bucket).map(|_| ())
    }
}

impl atomics::HostCas for InstanceState {
    fn new(&mut self, _: Resource<Bucket>, key: String) -> Result<Resource<Cas>, Error> {
        check_key(&key)?;
        opened(self.open_handle(Cas { key, seen: None }))
    }

    fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Error> {
        let cas = self.table.get_mut(&cas);
        let cas = cas.map_err(|_| other("no such swap"))?;
        let seen = self.keys.get(&cas.key)?;
        let value = seen.value.clone();
        cas.seen = Some(seen);
        Ok(value.map(Vec::from))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.close_handle(cas).map(|_| ())
    }
}

impl atomics::Host for InstanceState {
    fn increment(&mut self, _: Resource<Bucket>, key: String, delta: i64) -> Result<i64, Error> {
        check_key(&key)?;
        Ok(self.keys.increment(&key, delta)?)
    }

    fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Result<(), CasError> {
        let cas = self.close_handle(cas);
        let Cas { key, seen } = cas.map_err(|_| CasError::StoreError(other("no such swap")))?;
        check_value(&value).map_err(CasError::StoreError)?;
        match self.keys.swap(&key, seen.as_ref(), Bytes::from(value)) {
            Ok(()) => Ok(()),
            Err(SwapError::Store(error)) => Err(CasError::StoreError(error.into())),
            Err(SwapError::Conflict) => {
                let fresh = opened(self.open_handle(Cas { key, seen: None }));
                Err(fresh.map_or_else(CasError::StoreError, CasError::CasFailed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::handles::MAX_HANDLES;
    use super::*;
    use crate::store::{MemoryStore, SpinStore, Store};
    use crate::wasi::Variables;
    use atomics::{Host as _, HostCas as _};
    use std::sync::Arc;
    use store::{Host as _, HostBucket as _};

    fn instance() -> InstanceState {
        instance_over(Arc::new(MemoryStore::new()))
    }

    fn instance_over(store: Arc<dyn Store>) -> InstanceState {
        InstanceState::new(store, Arc::new(Variables::new()), None)
    }

    fn bucket(state: &mut InstanceState) -> Resource<Bucket> {
        let bucket = state.open(LABEL.to_owned()).expect("the bucket opens");
        Resource::new_borrow(bucket.rep())
    }

    fn cas(state: &mut InstanceState, bucket: &Resource<Bucket>, key: &str) -> Resource<Cas> {
        let bucket = Resource::new_borrow(bucket.rep());
        state.new(bucket, key.to_owned()).expect("a swap begins")
    }

    #[test]
    fn only_the_default_bucket_exists() {
        let mut state = instance();
        let refused = state.open("other".to_owned());
        assert!(matches!(refused, Err(Error::NoSuchStore)));
    }

    #[test]
    fn over_spin_redis_every_label_opens_the_same_bucket() {
        let mut state = instance_over(Arc::new(SpinStore::redis(Arc::new(MemoryStore::new()))));
        let mut open = |label: &str| state.open(label.to_owned()).expect("any label will do");
        let (one, other) = (open("default"), open("other"));
        let written = state.set(one, "k".to_owned(), b"value".to_vec());
        assert!(written.is_ok());
        let read = state.get(other, "k".to_owned());
        assert!(matches!(read, Ok(Some(value)) if value == b"value"));
    }

    #[test]
    fn over_spin_redis_the_handle_of_a_failed_swap_reads_the_applied_value() {
        let mut state = instance_over(Arc::new(SpinStore::redis(Arc::new(MemoryStore::new()))));
        let bucket = bucket(&mut state);
        let swap = cas(&mut state, &bucket, "k");
        let borrowed = Resource::new_borrow(swap.rep());
        assert!(matches!(state.current(borrowed), Ok(None)));
        let Err(CasError::CasFailed(again)) = state.swap(swap, b"mine".to_vec()) else {
            panic!("the swap did not fail");
        };
        let borrowed = Resource::new_borrow(again.rep());
        assert!(matches!(state.current(borrowed), Ok(Some(value)) if value == b"mine"));
    }

    #[test]
    fn handles_past_the_limit_are_refused_until_others_are_dropped() {
        let mut state = instance();
        let open: Vec<_> = (0..MAX_HANDLES)
            .map(|_| state.open(LABEL.to_owned()).expect("there is room"))
            .collect();
        assert!(matches!(state.open(LABEL.to_owned()), Err(Error::Other(_))));
        for bucket in open {
            store::HostBucket::drop(&mut state, bucket).expect("it was open");
        }
        assert!(state.open(LABEL.to_owned()).is_ok());
    }

    #[test]
    fn keys_and_values_past_the_limits_are_refused() {
        let mut state = instance();
        let bucket = bucket(&mut state);
        let rep = || Resource::new_borrow(bucket.rep());
        for key in [String::new(), "k".repeat(MAX_KEY_BYTES + 1)] {
            assert!(state.set(rep(), key.clone(), vec![]).is_err());
            assert!(state.get(rep(), key.clone()).is_err());
            assert!(state.increment(rep(), key.clone(), 1).is_err());
            assert!(state.new(rep(), key).is_err());
        }
        let large = vec![0; MAX_VALUE_BYTES + 1];
        assert!(state.set(rep(), "k".to_owned(), large.clone()).is_err());
        let swap = cas(&mut state, &bucket, "k");
        let borrowed = Resource::new_borrow(swap.rep());
        assert!(state.current(borrowed).is_ok());
        assert!(state.swap(swap, large).is_err());
    }

    #[test]
    fn the_handle_of_a_failed_swap_reads_anew_and_swaps() {
        let mut state = instance();
        let bucket = bucket(&mut state);
        let mine = cas(&mut state, &bucket, "k");
        let borrowed = Resource::new_borrow(mine.rep());
        assert!(matches!(state.current(borrowed), Ok(None)));
        let theirs = Resource::new_borrow(bucket.rep());
        state
            .set(theirs, "k".to_owned(), b"theirs".to_vec())
            .expect("it is written");
        let Err(CasError::CasFailed(again)) = state.swap(mine, b"mine".to_vec()) else {
            panic!("the swap did not fail");
        };
        let borrowed = Resource::new_borrow(again.rep());
        assert!(matches!(state.current(borrowed), Ok(Some(value)) if value == b"theirs"));
        assert!(state.swap(again, b"mine".to_vec()).is_ok());
        assert_eq!(state.handles, 1, "only the bucket is open");
    }

    #[test]
    fn a_swap_without_a_read_is_refused() {
        let mut state = instance();
        let bucket = bucket(&mut state);
        let swap = cas(&mut state, &bucket, "k");
        let refused = state.swap(swap, b"mine".to_vec());
        assert!(matches!(refused, Err(CasError::StoreError(_))));
    }

    #[test]
    fn full_refused_and_damaged_are_distinguished_by_their_prefix() {
        for (error, expected) in [
            (
                StoreError::Full("why".to_owned()),
                "insufficient-storage: why",
            ),
            (StoreError::Refused("why".to_owned()), "write-refused: why"),
            (
                StoreError::Damaged("why".to_owned()),
                "storage-damaged: why",
            ),
        ] {
            let Error::Other(text) = Error::from(error) else {
                panic!("not the variant");
            };
            assert_eq!(text, expected);
        }
    }
}
