//! The store that all instances of a run share: the model with the quirks of the run. It adds parts
//! that only a simulation needs: watchers, checks of the records, and remains of deleted streams.

use crate::history::Offset;
use crate::tasks::TaskId;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{Envelope, Key, Keys, State, debt, parse, registry, todo};
use durable_streams_edge::limits::MAX_VALUE_BYTES;
use durable_streams_edge::stream::Position;
use kv_model::{Held, Model, Quirks, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A true compare-and-swap, also of absent keys; durable at once.
    Guarded,
    /// As [`Guarded`](Self::Guarded), but durable only later: the host's file store.
    Files,
    /// A true compare-and-swap, but creation still uses gates.
    Plain,
    /// See [`Quirks::SPIN_SQLITE`].
    SpinSqlite,
    /// See [`Quirks::SPIN_REDIS`].
    SpinRedis,
}

impl Kind {
    const fn quirks(self) -> Quirks {
        match self {
            Self::Guarded | Self::Plain => Quirks::BY_VALUE,
            Self::Files => Quirks::NONE,
            Self::SpinSqlite => Quirks::SPIN_SQLITE,
            Self::SpinRedis => Quirks::SPIN_REDIS,
        }
    }
}

/// A store at an earlier time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    model: Model,
    owed: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(crate) struct Store {
    model: Model,
    /// Number of restores.
    restores: usize,
    /// Whether a wrong successor of a record ends the run.
    strict: bool,
    /// Chunks and index blocks that tombstones have to remove, and the number of the change that
    /// named them.
    owed: BTreeMap<String, u64>,
    /// Keys that were set long after their writer got an error.
    late: BTreeSet<String>,
    pub(crate) watchers: BTreeMap<String, Vec<TaskId>>,
    /// Tasks that the last change wakes.
    pub(crate) woken: Vec<TaskId>,
}

impl Store {
    pub(crate) fn new(kind: Kind, strict: bool) -> Self {
        let mut model = Model::new(kind.quirks(), MAX_VALUE_BYTES);
        if kind == Kind::Files {
            model = model.durable_later();
        }
        if !strict {
            model = model.lenient();
        }
        Self {
            model,
            restores: 0,
            strict,
            owed: BTreeMap::new(),
            late: BTreeSet::new(),
            watchers: BTreeMap::new(),
            woken: Vec::new(),
        }
    }

    /// The model, for reading only.
    pub(crate) const fn model(&self) -> &Model {
        &self.model
    }

    /// How often changes were lost. A write that began before a loss changes nothing after it.
    pub(crate) fn losses(&self) -> usize {
        self.model.losses() + self.restores
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            model: self.model.clone(),
            owed: self.owed.clone(),
        }
    }

    /// Goes back to a snapshot. Every key counts as changed.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.model.restore(&snapshot.model);
        self.owed.clone_from(&snapshot.owed);
        self.restores += 1;
        for (_, tasks) in std::mem::take(&mut self.watchers) {
            self.woken.extend(tasks);
        }
    }

    /// The tails of all streams that are there, by their names.
    pub(crate) fn tails(&self) -> BTreeMap<String, Offset> {
        let records = self.model.entries().filter_map(|(key, held)| {
            let (_, Key::Head(..)) = parse(key)? else {
                return None;
            };
            let Held::Value(value) = held else {
                return None;
            };
            let envelope = Envelope::decode(value).ok()?;
            match Record::decode(&envelope.body, envelope.version).ok()? {
                Record::Live(head) => Some((head.name.clone(), head.tail())),
                Record::Tombstone(_) => None,
            }
        });
        let offset = |tail: Position| Offset(tail.segment, tail.byte * 10);
        records.map(|(name, tail)| (name, offset(tail))).collect()
    }

    pub(crate) fn sync(&mut self) {
        self.model.sync();
    }

    /// Loses every change that is not durable. Every key counts as changed.
    pub(crate) fn lose(&mut self) {
        let Some(first) = self.model.lose() else {
            return;
        };
        self.owed.retain(|_, change| *change < first);
        for (_, tasks) in std::mem::take(&mut self.watchers) {
            self.woken.extend(tasks);
        }
    }

    /// Wakes the watchers of a key that changed.
    fn wake(&mut self, key: &str) {
        if let Some(tasks) = self.watchers.remove(key) {
            self.woken.extend(tasks);
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: Vec<u8>) -> u64 {
        let change = self.model.set(key, value);
        self.wake(key);
        change
    }

    pub(crate) fn delete(&mut self, key: &str) -> u64 {
        if self.model.exists(key) {
            self.wake(key);
        }
        self.model.delete(key)
    }

    /// Changes a key as no platform does; for planted bugs. `None` removes the key.
    pub(crate) fn force(&mut self, key: &str, value: Option<Vec<u8>>) -> u64 {
        self.wake(key);
        self.model.force(key, value.map(Into::into))
    }

    pub(crate) fn increment(&mut self, key: &str, delta: i64) -> (i64, u64) {
        self.wake(key);
        self.model.increment(key, delta)
    }

    /// Sets a key long after its writer got an error. The value may stay for the offline check.
    pub(crate) fn set_late(&mut self, key: &str, value: Vec<u8>) {
        self.late.insert(key.to_owned());
        self.set(key, value);
    }

    /// Keys that should not be there once every stream is deleted and all work is done. Chunks that
    /// no head ever named are left to the offline check.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let values = self.model.entries().filter_map(|entry| match entry {
            (key, Held::Value(value)) => Some((key, value)),
            (_, Held::Counter(_)) => None,
        });
        values
            .filter(|(key, _)| !self.late.contains(*key))
            .filter_map(|(key, value)| match self.owed.contains_key(key) {
                true => Some(format!("{key}: it was to be removed")),
                false => Some(format!("{key}: {}", self.why_left(key, value)?)),
            })
            .collect()
    }

    /// Why a value should not be there when everything is deleted; `None` if it may stay.
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
            // A slow worker may have written a paid debt again, and stopped there. Such
            // a debt is left to the offline check.
            Key::Debt(life) => {
                let Ok(debt) = debt::decode(value) else {
                    return Some("it can't be read".to_owned());
                };
                let keys = Keys::new("");
                let chunks = debt.owed.chunks.iter().map(|id| keys.chunk(life, *id));
                let blocks = debt.owed.first_block..debt.owed.end_block;
                let mut owed = chunks.chain(blocks.map(|block| keys.block(life, block)));
                owed.find(|owed| self.model.exists(owed))
                    .map(|owed| format!("it owes {owed}"))
            }
            _ => None,
        }
    }

    /// The final contents of the store, a line for each key.
    pub(crate) fn describe(&self) -> Vec<String> {
        let lines = self.model.history().map(|(key, held)| match held {
            None => format!("{key} is gone"),
            Some(Held::Counter(count)) => format!("{key} counts {count}"),
            Some(Held::Value(value)) => match Envelope::decode(value) {
                Ok(record) if self.model.is_swapped(key) => {
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
        if self.strict
            && let Some(seen) = seen.filter(|seen| self.model.applies(key, seen))
        {
            check_successor(key, seen.value.as_deref(), &value);
        }
        let owed = match key.starts_with("s.") {
            true => owed(&value),
            false => Vec::new(),
        };
        let change = self.model.swap(key, seen, value)?;
        self.wake(key);
        self.owed.extend(owed.into_iter().map(|key| (key, change)));
        Some(change)
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

/// Versions rise, and a confirmed or void record stays so.
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
