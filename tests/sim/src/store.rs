//! The store that all instances of a run share: values, counters, changes, the quirks of real
//! stores, and what is not durable yet.
//!
//! It holds the service to what `service::env` counts on while it serves it: whoever breaks a rule
//! of it ends the run, whatever the run was about.

use crate::tasks::TaskId;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{Envelope, Key, Keys, State, debt, parse, registry, todo};
use durable_streams_edge::limits::MAX_VALUE_BYTES;
use std::collections::{BTreeMap, BTreeSet};

/// How the store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A true compare-and-swap, also of absent keys; durable at once.
    Guarded,
    /// The same, but durable only later: what is not can be lost, all of it at once.
    Files,
    /// A true compare-and-swap, but creation uses gates all the same.
    Plain,
    /// A swap of a key that was absent overwrites whatever is there (Spin on SQLite).
    SpinSqlite,
    /// Every swap is said to have failed, the applied ones too (Spin on Redis).
    SpinRedis,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Value(Vec<u8>),
    Counter(i64),
}

#[derive(Debug, Clone)]
struct Entry {
    /// Nothing, if the key was deleted.
    held: Option<Held>,
    /// Number of its last change.
    changed: u64,
}

/// A key as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) changed: u64,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Durable,
    NotYet,
    Lost,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) kind: Kind,
    /// Whether a breach of the envelope ends the run.
    pub(crate) strict: bool,
    entries: BTreeMap<String, Entry>,
    /// Keys that were swapped, and keys that were set: never the same.
    swapped: BTreeSet<String>,
    set: BTreeSet<String>,
    latest: u64,
    /// Every key counts as changed by this one: the last loss.
    floor: u64,
    /// What is not durable: the number of the change, and what was there before.
    newer: Vec<(u64, String, Option<Entry>)>,
    /// Changes that are gone: numbers above the first and up to the second.
    lost: Vec<(u64, u64)>,
    /// Chunks and index blocks that tombstones named as theirs to remove, and the number of the
    /// change by which they did.
    owed: BTreeMap<String, u64>,
    /// Keys that were set long after their writer was told that this failed.
    late: BTreeSet<String>,
    pub(crate) watchers: BTreeMap<String, Vec<TaskId>>,
    /// Tasks to be woken by what was done last.
    pub(crate) woken: Vec<TaskId>,
}

impl Store {
    pub(crate) const fn new(kind: Kind, strict: bool) -> Self {
        Self {
            kind,
            strict,
            entries: BTreeMap::new(),
            swapped: BTreeSet::new(),
            set: BTreeSet::new(),
            latest: 0,
            floor: 0,
            newer: Vec::new(),
            lost: Vec::new(),
            owed: BTreeMap::new(),
            late: BTreeSet::new(),
            watchers: BTreeMap::new(),
            woken: Vec::new(),
        }
    }

    /// How often changes were lost.
    pub(crate) const fn losses(&self) -> usize {
        self.lost.len()
    }

    pub(crate) const fn latest(&self) -> u64 {
        self.latest
    }

    /// The number of the last change of `key`, or a higher one.
    pub(crate) fn last_change(&self, key: &str) -> u64 {
        let changed = self.entries.get(key).map_or(0, |entry| entry.changed);
        changed.max(self.floor)
    }

    pub(crate) fn settled(&self, change: u64) -> Settled {
        let lost = |(above, to): &(u64, u64)| (above + 1..=*to).contains(&change);
        if self.lost.iter().any(lost) {
            return Settled::Lost;
        }
        match self.newer.first() {
            Some((first, ..)) if *first <= change => Settled::NotYet,
            _ => Settled::Durable,
        }
    }

    /// Makes everything durable that was changed so far.
    pub(crate) fn sync(&mut self) {
        self.newer.clear();
    }

    pub(crate) const fn has_newer(&self) -> bool {
        !self.newer.is_empty()
    }

    /// Loses everything that is not durable. Every key counts as changed.
    pub(crate) fn lose(&mut self) {
        let Some((first, ..)) = self.newer.first() else {
            return;
        };
        let first = *first;
        self.lost.push((first - 1, self.latest));
        self.owed.retain(|_, change| *change < first);
        while let Some((_, key, before)) = self.newer.pop() {
            match before {
                Some(entry) => drop(self.entries.insert(key, entry)),
                None => drop(self.entries.remove(&key)),
            }
        }
        self.latest += 1;
        self.floor = self.latest;
        for (_, tasks) in std::mem::take(&mut self.watchers) {
            self.woken.extend(tasks);
        }
    }

    fn put(&mut self, key: &str, held: Option<Held>) -> u64 {
        self.latest += 1;
        let changed = self.latest;
        let before = self.entries.insert(key.to_owned(), Entry { held, changed });
        if self.kind == Kind::Files {
            self.newer.push((changed, key.to_owned(), before));
        }
        if let Some(tasks) = self.watchers.remove(key) {
            self.woken.extend(tasks);
        }
        changed
    }

    fn held(&self, key: &str) -> Option<&Held> {
        self.entries.get(key).and_then(|entry| entry.held.as_ref())
    }

    pub(crate) fn see(&self, key: &str) -> Seen {
        let value = match self.held(key) {
            None => None,
            Some(Held::Value(value)) => Some(value.clone()),
            Some(Held::Counter(_)) => panic!("envelope: {key} is a gate"),
        };
        let changed = self.last_change(key);
        Seen { value, changed }
    }

    pub(crate) fn exists(&self, key: &str) -> bool {
        self.held(key).is_some()
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>) -> u64 {
        let swapped = self.swapped.contains(key);
        assert!(!swapped, "envelope: {key} is swapped and set");
        check_size(key, &value);
        if !self.set.contains(key) {
            self.set.insert(key.to_owned());
        }
        self.put(key, Some(Held::Value(value)))
    }

    pub(crate) fn delete(&mut self, key: &str) -> u64 {
        let swapped = self.swapped.contains(key);
        assert!(!swapped, "envelope: {key} is swapped and deleted");
        match self.exists(key) {
            true => self.put(key, None),
            false => self.last_change(key),
        }
    }

    /// Removes a key as no platform does; for planted bugs.
    pub(crate) fn forget(&mut self, key: &str) {
        self.put(key, None);
    }

    pub(crate) fn increment(&mut self, key: &str, delta: i64) -> (i64, u64) {
        let sum = match self.held(key) {
            None => delta,
            Some(Held::Counter(count)) => count + delta,
            Some(Held::Value(_)) => panic!("envelope: {key} is no gate"),
        };
        (sum, self.put(key, Some(Held::Counter(sum))))
    }

    /// What arrives long after its writer was told that it failed may stay: for the offline check.
    pub(crate) fn set_late(&mut self, key: &str, value: Vec<u8>) {
        self.late.insert(key.to_owned());
        self.set(key, value);
    }

    /// What should not be there once every stream is deleted and all work is done. Chunks that no
    /// head ever named are for the offline check.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let values = self.entries.iter().filter_map(|(key, entry)| {
            let Some(Held::Value(value)) = &entry.held else {
                return None;
            };
            Some((key, value))
        });
        values
            .filter(|(key, _)| !self.late.contains(*key))
            .filter_map(|(key, value)| match self.owed.contains_key(key) {
                true => Some(format!("{key}: it was to be removed")),
                false => Some(format!("{key}: {}", self.why_left(key, value)?)),
            })
            .collect()
    }

    /// Why a value should not be there when everything is deleted, if so.
    fn why_left(&self, key: &str, value: &[u8]) -> Option<String> {
        let body = || {
            let envelope = Envelope::decode(value).ok()?;
            (envelope.state == State::Confirmed).then_some(envelope)
        };
        match parse(key)?.1 {
            Key::Head(..) => {
                let envelope = body()?;
                match Record::decode(&envelope.body, envelope.version) {
                    Ok(Record::Tombstone(tombstone)) => {
                        let owes = tombstone.owes.is_some() || tombstone.source.is_some();
                        owes.then(|| format!("it owes something: {tombstone:?}"))
                    }
                    Ok(Record::Live(head)) => {
                        Some(format!("{} is there: {:?}", head.name, head.forks))
                    }
                    Err(error) => Some(error.to_string()),
                }
            }
            Key::Todo(..) => match todo::decode(&body()?.body) {
                Ok(entries) => entries
                    .first()
                    .map(|entry| format!("{entry:?} is to be done")),
                Err(error) => Some(error.to_string()),
            },
            Key::Leaf(..) => match registry::decode(&body()?.body) {
                Ok(leaf) => leaf
                    .entries
                    .first()
                    .map(|entry| format!("it lists {}", entry.name)),
                Err(error) => Some(error.to_string()),
            },
            // A worker that was slow may have written it again when it was paid, and stopped there: it
            // is for the offline check then.
            Key::Debt(life) => {
                let Ok(debt) = debt::decode(value) else {
                    return Some("it can't be read".to_owned());
                };
                let keys = Keys::new("");
                let chunks = debt.owed.chunks.iter().map(|id| keys.chunk(life, *id));
                let blocks = debt.owed.first_block..debt.owed.end_block;
                let mut owed = chunks.chain(blocks.map(|block| keys.block(life, block)));
                owed.find(|owed| self.exists(owed))
                    .map(|owed| format!("it owes {owed}"))
            }
            _ => None,
        }
    }

    /// What is there in the end, a line for each key.
    pub(crate) fn describe(&self) -> Vec<String> {
        let lines = self.entries.iter().map(|(key, entry)| match &entry.held {
            None => format!("{key} is gone"),
            Some(Held::Counter(count)) => format!("{key} counts {count}"),
            Some(Held::Value(value)) => match Envelope::decode(value) {
                Ok(record) if self.swapped.contains(key) => {
                    let Envelope { state, version, .. } = record;
                    format!("{key} is {state:?}, version {version}")
                }
                _ => format!("{key} has {} bytes", value.len()),
            },
        });
        lines.collect()
    }

    /// Does a swap if its condition holds.
    pub(crate) fn swap(&mut self, key: &str, seen: Option<&Seen>, value: Vec<u8>) -> Option<u64> {
        let seen = seen.expect("envelope: a swap without current");
        check_size(key, &value);
        assert!(
            !self.set.contains(key),
            "envelope: {key} is set and swapped"
        );
        if !self.swapped.contains(key) {
            self.swapped.insert(key.to_owned());
        }
        let holds = match (&seen.value, self.kind) {
            (None, Kind::SpinSqlite) => {
                let free = !self.exists(key) || !self.strict;
                assert!(free, "envelope: a late creation overwrote {key}");
                true
            }
            // They notice every write, also one that leaves the value as it was.
            (_, Kind::SpinRedis | Kind::Files) => self.last_change(key) == seen.changed,
            (was, _) => match (was, self.held(key)) {
                (None, None) => true,
                (Some(was), Some(Held::Value(is))) => was == is,
                _ => false,
            },
        };
        if !holds {
            return None;
        }
        if self.strict {
            check_successor(key, seen.value.as_deref(), &value);
        }
        let owed = if key.starts_with("s.") {
            owed(&value)
        } else {
            Vec::new()
        };
        let change = self.put(key, Some(Held::Value(value)));
        self.owed.extend(owed.into_iter().map(|key| (key, change)));
        Some(change)
    }

    /// Swaps whatever is there; for planted bugs.
    pub(crate) fn overwrite(&mut self, key: &str, value: Vec<u8>) -> u64 {
        self.put(key, Some(Held::Value(value)))
    }
}

/// Chunks and index blocks that a tombstone names.
fn owed(head: &[u8]) -> Vec<String> {
    let record = Envelope::decode(head).ok().and_then(|envelope| {
        let record = Record::decode(&envelope.body, envelope.version);
        record.ok()
    });
    let Some(Record::Tombstone(tombstone)) = record else {
        return Vec::new();
    };
    let (keys, life) = (Keys::new(""), tombstone.incarnation);
    let Some(owed) = tombstone.owes else {
        return Vec::new();
    };
    let chunks = owed.chunks.iter().map(|id| keys.chunk(life, *id));
    let blocks = (owed.first_block..owed.end_block).map(|block| keys.block(life, block));
    chunks.chain(blocks).collect()
}

fn check_size(key: &str, value: &[u8]) {
    let most = MAX_VALUE_BYTES;
    assert!(value.len() <= most, "envelope: {key} is too large");
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    assert!(key.len() <= 200 && key.bytes().all(good), "envelope: {key}");
}

/// Versions rise, and what is confirmed or void stays so.
fn check_successor(key: &str, before: Option<&[u8]>, after: &[u8]) {
    let Some(before) = before else { return };
    let open = |bytes| Envelope::decode(bytes).expect("envelope: a record");
    let (before, after) = (open(before), open(after));
    let (was, is) = (before.state, after.state);
    assert!(before.version < after.version, "envelope: {key} went back");
    assert!(
        was == State::Unconfirmed || (was, is) == (State::Confirmed, State::Confirmed),
        "envelope: {key} went from {was:?} to {is:?}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_durable_goes_all_at_once() {
        let mut store = Store::new(Kind::Files, true);
        store.set("a", vec![1]);
        store.sync();
        let lost = store.set("a", vec![2]);
        store.set("b", vec![3]);
        assert_eq!(store.settled(lost), Settled::NotYet);
        store.lose();
        assert_eq!(store.settled(lost), Settled::Lost);
        assert_eq!(store.see("a").value, Some(vec![1]));
        assert_eq!(store.see("b").value, None);
        assert_eq!(store.settled(store.last_change("a")), Settled::Durable);
        let next = store.set("a", vec![4]);
        assert_eq!(store.settled(next), Settled::NotYet);
        store.sync();
        assert_eq!(store.settled(next), Settled::Durable);
    }
}
