//! The store: keys, values, counters and changes in memory.

use crate::journal::{Journal, Settled};
use crate::quirks::{Quirks, Seen};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Content of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// Bytes that were set or swapped.
    Value(Bytes),
    /// A counter that was incremented.
    Counter(i64),
}

#[derive(Debug, Clone)]
struct Entry {
    /// None if the key was deleted.
    held: Option<Held>,
    /// Number of the last change.
    changed: u64,
}

/// A key-value store in memory.
///
/// It checks the rules that portable users of real stores keep, and panics when a rule is broken:
///
/// - A key is either swapped, or set and deleted, or incremented. Spin on SQLite compares values,
///   so a set between two swaps could bring a value back.
/// - Keys have at most 200 bytes of letters, digits, `.`, `_` and `-`. Cosmos DB allows no slashes
///   and 255 bytes.
/// - Values have at most as many bytes as the model was made with. DynamoDB allows 400 KB.
/// - A swap follows a read through the same handle.
/// - No swap of an absent key overwrites a value, even where the store would do so. A
///   [lenient](Self::lenient) model does it.
#[derive(Debug, Clone)]
pub struct Model {
    quirks: Quirks,
    value_bytes: usize,
    strict: bool,
    entries: BTreeMap<String, Entry>,
    /// Keys that were swapped, and keys that were set. No key is in both.
    swapped: BTreeSet<String>,
    set: BTreeSet<String>,
    latest: u64,
    /// The last loss: every key counts as changed by it.
    floor: u64,
    /// None if every change is durable at once.
    journal: Option<Journal<Entry>>,
}

impl Model {
    /// An empty store. Values have at most `value_bytes` bytes.
    #[must_use]
    pub const fn new(quirks: Quirks, value_bytes: usize) -> Self {
        Self {
            quirks,
            value_bytes,
            strict: true,
            entries: BTreeMap::new(),
            swapped: BTreeSet::new(),
            set: BTreeSet::new(),
            latest: 0,
            floor: 0,
            journal: None,
        }
    }

    /// The same store, but swaps overwrite values where its quirks let them.
    #[must_use]
    pub fn lenient(self) -> Self {
        Self {
            strict: false,
            ..self
        }
    }

    /// The same store, but all changes since the last [sync](Self::sync) can be lost together.
    #[must_use]
    pub fn durable_later(self) -> Self {
        Self {
            journal: Some(Journal::new()),
            ..self
        }
    }

    /// Quirks of the store.
    #[must_use]
    pub const fn quirks(&self) -> Quirks {
        self.quirks
    }

    /// Number of the latest change.
    #[must_use]
    pub const fn latest(&self) -> u64 {
        self.latest
    }

    /// Number of the last change of `key`, or a higher one.
    #[must_use]
    pub fn last_change(&self, key: &str) -> u64 {
        let changed = self.entries.get(key).map_or(0, |entry| entry.changed);
        changed.max(self.floor)
    }

    /// Keys with content, and their content.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Held)> {
        let entries = self.entries.iter();
        entries.filter_map(|(key, entry)| Some((key.as_str(), entry.held.as_ref()?)))
    }

    /// All keys that ever had content. A deleted key has no content.
    pub fn history(&self) -> impl Iterator<Item = (&str, Option<&Held>)> {
        let entries = self.entries.iter();
        entries.map(|(key, entry)| (key.as_str(), entry.held.as_ref()))
    }

    /// Whether `key` was swapped.
    #[must_use]
    pub fn is_swapped(&self, key: &str) -> bool {
        self.swapped.contains(key)
    }

    fn held(&self, key: &str) -> Option<&Held> {
        self.entries.get(key).and_then(|entry| entry.held.as_ref())
    }

    /// The key as it is now.
    ///
    /// # Panics
    ///
    /// If the key is a counter.
    #[must_use]
    pub fn see(&self, key: &str) -> Seen {
        let value = match self.held(key) {
            None => None,
            Some(Held::Value(value)) => Some(value.clone()),
            Some(Held::Counter(_)) => panic!("rule: {key} is read and counted"),
        };
        let changed = self.last_change(key);
        Seen { value, changed }
    }

    /// Whether the key has a content.
    #[must_use]
    pub fn exists(&self, key: &str) -> bool {
        self.held(key).is_some()
    }

    /// Sum of a counter; 0 if it is absent.
    #[must_use]
    pub fn count(&self, key: &str) -> i64 {
        match self.held(key) {
            Some(Held::Counter(sum)) => *sum,
            _ => 0,
        }
    }

    fn put(&mut self, key: &str, held: Option<Held>) -> u64 {
        self.latest += 1;
        let changed = self.latest;
        let before = self.entries.insert(key.to_owned(), Entry { held, changed });
        if let Some(journal) = &mut self.journal {
            journal.note(changed, key, before);
        }
        changed
    }

    fn check_size(&self, key: &str, value: &Bytes) {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(key.len() <= 200 && key.bytes().all(good), "rule: key {key}");
        let size = value.len();
        assert!(size <= self.value_bytes, "rule: {key} has {size} bytes");
    }

    /// Sets a key.
    ///
    /// # Panics
    ///
    /// If a rule is broken.
    pub fn set(&mut self, key: &str, value: impl Into<Bytes>) -> u64 {
        let value = value.into();
        self.check_size(key, &value);
        let swapped = self.swapped.contains(key);
        assert!(!swapped, "rule: {key} is swapped and set");
        if !self.set.contains(key) {
            self.set.insert(key.to_owned());
        }
        self.put(key, Some(Held::Value(value)))
    }

    /// Deletes a key.
    ///
    /// # Panics
    ///
    /// If a rule is broken.
    pub fn delete(&mut self, key: &str) -> u64 {
        let swapped = self.swapped.contains(key);
        assert!(!swapped, "rule: {key} is swapped and deleted");
        match self.exists(key) {
            true => self.put(key, None),
            false => self.last_change(key),
        }
    }

    /// Adds to a counter. Returns the sum and the number of the change.
    ///
    /// # Panics
    ///
    /// If a rule is broken.
    pub fn increment(&mut self, key: &str, delta: i64) -> (i64, u64) {
        let sum = match self.held(key) {
            None => delta,
            Some(Held::Counter(count)) => count + delta,
            Some(Held::Value(_)) => panic!("rule: {key} is written and counted"),
        };
        (sum, self.put(key, Some(Held::Counter(sum))))
    }

    /// Whether a swap of a key that was `seen` would be applied.
    #[must_use]
    pub fn applies(&self, key: &str, seen: &Seen) -> bool {
        self.quirks.applies(seen, &self.see(key))
    }

    /// Swaps a key that was `seen`, and returns the number of the change; none if the swap was not
    /// applied. [`Quirks::answer`] gives the answer of the store.
    ///
    /// # Panics
    ///
    /// If a rule is broken.
    pub fn swap(&mut self, key: &str, seen: Option<&Seen>, value: impl Into<Bytes>) -> Option<u64> {
        let value = value.into();
        let seen = seen.expect("rule: a swap follows a read");
        self.check_size(key, &value);
        let set = self.set.contains(key);
        assert!(!set, "rule: {key} is set and swapped");
        if !self.swapped.contains(key) {
            self.swapped.insert(key.to_owned());
        }
        if !self.applies(key, seen) {
            return None;
        }
        let overwrites = seen.value.is_none() && self.exists(key);
        let free = !overwrites || !self.strict;
        assert!(free, "rule: a late creation overwrote {key}");
        Some(self.put(key, Some(Held::Value(value))))
    }

    /// Changes a key without checking any rule; no value deletes the key.
    pub fn force(&mut self, key: &str, value: Option<Bytes>) -> u64 {
        self.put(key, value.map(Held::Value))
    }

    /// Number of losses so far.
    #[must_use]
    pub fn losses(&self) -> usize {
        self.journal.as_ref().map_or(0, Journal::losses)
    }

    /// State of a change.
    #[must_use]
    pub fn settled(&self, change: u64) -> Settled {
        let journal = self.journal.as_ref();
        journal.map_or(Settled::Durable, |journal| journal.settled(change))
    }

    /// Whether some change is not durable.
    #[must_use]
    pub fn has_newer(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::has_newer)
    }

    /// Makes all changes durable.
    pub fn sync(&mut self) {
        self.journal.iter_mut().for_each(Journal::sync);
    }

    /// Loses all changes that are not durable, and returns the number of the first one; none if all
    /// changes are durable. After a loss, every key counts as changed.
    pub fn lose(&mut self) -> Option<u64> {
        let loss = self.journal.as_mut()?.lose(self.latest)?;
        for (key, entry) in loss.before {
            match entry {
                Some(entry) => drop(self.entries.insert(key, entry)),
                None => drop(self.entries.remove(&key)),
            }
        }
        self.latest += 1;
        self.floor = self.latest;
        Some(loss.first)
    }

    /// Goes back to a `snapshot` of this store, without the changes that were not durable then.
    /// Every key counts as changed.
    pub fn restore(&mut self, snapshot: &Self) {
        let mut snapshot = snapshot.clone();
        let first = snapshot.latest;
        let first = snapshot.lose().map_or(first, |change| change - 1);
        self.entries = snapshot.entries;
        if let Some(journal) = &mut self.journal {
            journal.forget(first, self.latest);
        }
        self.latest += 1;
        self.floor = self.latest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(quirks: Quirks) -> Model {
        Model::new(quirks, 100)
    }

    #[test]
    fn changes_that_are_not_durable_are_lost_together() {
        let mut model = model(Quirks::NONE).durable_later();
        model.set("a", vec![1]);
        model.sync();
        let lost = model.set("a", vec![2]);
        model.set("b", vec![3]);
        assert_eq!(model.settled(lost), Settled::NotYet);
        assert_eq!(model.lose(), Some(lost));
        assert_eq!(model.lose(), None);
        assert_eq!((model.settled(lost), model.losses()), (Settled::Lost, 1));
        assert_eq!(model.see("a").value.as_deref(), Some(&[1][..]));
        assert_eq!(model.see("b").value, None);
        assert_eq!(model.settled(model.last_change("a")), Settled::Durable);
        let next = model.set("a", vec![4]);
        assert_eq!(model.settled(next), Settled::NotYet);
        model.sync();
        assert_eq!(model.settled(next), Settled::Durable);
    }

    #[test]
    fn a_restored_store_has_the_durable_values_of_its_snapshot() {
        for later in [false, true] {
            let mut model = model(Quirks::NONE);
            if later {
                model = model.durable_later();
            }
            let kept = model.set("a", vec![1]);
            model.sync();
            model.set("a", vec![2]);
            let snapshot = model.clone();
            model.sync();
            let lost = model.set("b", vec![3]);
            let seen = model.see("b");
            model.restore(&snapshot);
            let a = if later { 1 } else { 2 };
            assert_eq!(model.see("a").value.as_deref(), Some(&[a][..]));
            assert_eq!(model.see("b").value, None);
            assert!(model.see("b").changed > seen.changed);
            assert_eq!(model.settled(kept), Settled::Durable);
            if later {
                assert_eq!(model.settled(lost), Settled::Lost);
            }
        }
    }

    #[test]
    fn a_swap_is_applied_once_to_a_key_that_did_not_change() {
        for quirks in [Quirks::NONE, Quirks::BY_VALUE, Quirks::SPIN_REDIS] {
            let mut model = model(quirks);
            for value in ["one", "two"] {
                let seen = model.see("k");
                assert!(model.swap("k", Some(&seen), value).is_some());
                assert!(model.swap("k", Some(&seen), "late").is_none());
                assert_eq!(model.see("k").value.as_deref(), Some(value.as_bytes()));
            }
        }
    }

    #[test]
    fn a_late_creation_overwrites_only_in_a_lenient_model() {
        let mut lenient = model(Quirks::SPIN_SQLITE).lenient();
        let absent = lenient.see("k");
        for creator in ["first", "second"] {
            assert!(lenient.swap("k", Some(&absent), creator).is_some());
        }
        assert_eq!(lenient.see("k").value.as_deref(), Some(&b"second"[..]));
    }

    #[test]
    #[should_panic(expected = "a late creation overwrote k")]
    fn a_late_creation_ends_a_strict_model() {
        let mut strict = model(Quirks::SPIN_SQLITE);
        let absent = strict.see("k");
        strict.swap("k", Some(&absent), "first");
        strict.swap("k", Some(&absent), "second");
    }

    #[test]
    #[should_panic(expected = "k is swapped and set")]
    fn a_swapped_key_is_never_set() {
        let mut model = model(Quirks::NONE);
        let absent = model.see("k");
        model.swap("k", Some(&absent), "value");
        model.set("k", "value");
    }
}
