//! Live readers by prefix.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts of live readers. A prefix without readers takes no room.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<HashMap<Arc<str>, u64>>);

/// A live reader. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    readers: Arc<Readers>,
    prefix: Arc<str>,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of readers of a prefix.
    pub(super) fn of(&self, prefix: &str) -> u64 {
        self.lock().get(prefix).copied().unwrap_or_default()
    }

    /// Adds a reader, unless the prefix has as many as `most`.
    pub(super) fn add(self: &Arc<Self>, prefix: &str, most: Option<u64>) -> Option<Reader> {
        let mut counts = self.lock();
        let prefix = match counts.get_key_value(prefix) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(prefix),
        };
        match counts.entry(Arc::clone(&prefix)) {
            Entry::Occupied(mut entry) => {
                let count = entry.get_mut();
                if most.is_some_and(|most| *count >= most) {
                    return None;
                }
                *count = count.saturating_add(1);
            }
            Entry::Vacant(_) if most == Some(0) => return None,
            Entry::Vacant(entry) => {
                entry.insert(1);
            }
        }
        drop(counts);
        Some(Reader {
            readers: Arc::clone(self),
            prefix,
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut counts = self.readers.lock();
        if let Some(count) = counts.get_mut(&*self.prefix) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&*self.prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_limited_by_prefix_and_released_when_dropped() {
        let readers = Arc::<Readers>::default();
        let one = readers.add("a", Some(2)).expect("a place");
        let other = readers.add("a", Some(2)).expect("a place");
        assert!(readers.add("a", Some(2)).is_none());
        assert!(readers.add("b", Some(1)).is_some());
        assert!(readers.add("c", Some(0)).is_none());
        assert_eq!(readers.of("a"), 2);
        drop(one);
        let again = readers.add("a", Some(2));
        assert!(again.is_some());
        drop((other, again));
        assert_eq!(readers.of("a"), 0);
        assert!(readers.lock().is_empty(), "nothing is left");
    }
}
