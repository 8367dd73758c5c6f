//! Counts of streams and bytes: kept by the swaps of this host, and made anew by walks.

use super::rules::{Rules, Scope};
use super::table::{Counts, Table};
use super::walk::Walk;
use crate::store::{Store, StoreError};
use durable_streams_edge::seam::streams::{
    REGISTRY_SHARDS, RegistryLeaf, Stream, StreamHash, StreamKeys, registry_leaf, stream,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks of streams. Unrelated streams seldom share one.
const LOCKS: usize = 64;

/// More gates than failed creations of one record are expected to leave.
const MOST_GATES: u32 = 1000;

/// Counts the streams and bytes of a store.
pub(super) struct Counter {
    keys: StreamKeys,
    rules: Arc<Rules>,
    /// Held shared for a swap and its count, and exclusively while a walk visits the stream.
    locks: [RwLock<()>; LOCKS],
    state: Mutex<State>,
    /// Whether the counts may have missed a change.
    doubt: AtomicBool,
}

struct State {
    table: Table,
    /// Whether the table has all streams.
    is_whole: bool,
    walk: Option<Walk>,
}

impl State {
    /// Adds to the counts of a stream whose record is in this leaf.
    fn add(&mut self, hash: &StreamHash, leaf: u32, scope: Scope<'_>, more: Counts) {
        if let Some(walk) = &mut self.walk
            && walk.has_passed(hash, leaf)
        {
            walk.table.add(scope, more);
        }
        // The first walk has the only table.
        if self.is_whole {
            self.table.add(scope, more);
        }
    }

    fn table(&self) -> &Table {
        match &self.walk {
            Some(walk) if !self.is_whole => &walk.table,
            Some(_) | None => &self.table,
        }
    }
}

impl Counter {
    /// A counter that knows no stream before its first walk.
    pub(super) fn new(keys: StreamKeys, rules: Arc<Rules>) -> Arc<Self> {
        let table = || Table::new(rules.names());
        let state = State {
            table: table(),
            is_whole: false,
            walk: Some(Walk::new(table())),
        };
        Arc::new(Self {
            keys,
            locks: std::array::from_fn(|_| RwLock::default()),
            state: Mutex::new(state),
            doubt: AtomicBool::new(false),
            rules,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, hash: &StreamHash) -> &RwLock<()> {
        // The remainder is always in range. The first lock stands in only to avoid a panic.
        let place = hash.number() % LOCKS;
        self.locks.get(place).unwrap_or(&self.locks[0])
    }

    /// Returns the hash of the stream whose record has this key.
    pub(super) fn stream(&self, key: &str) -> Option<StreamHash> {
        self.keys.stream(key)
    }

    /// Begins a swap of the stream's record. The caller holds the guard until it has called
    /// [`swapped`](Self::swapped).
    pub(super) fn begin(&self, hash: &StreamHash) -> RwLockReadGuard<'_, ()> {
        let lock = self.lock(hash);
        lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit(&self, hash: &StreamHash) -> RwLockWriteGuard<'_, ()> {
        let lock = self.lock(hash);
        lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaf, counts and prefix of a stream with this record. None if the stream is not counted.
    fn facts<'a>(&self, record: &'a [u8]) -> Option<(u32, Counts, Scope<'a>)> {
        let Stream { name, bytes, leaf } = stream(record)?;
        let scope = self.rules.scope(name)?;
        Some((leaf?, Counts::of_stream(bytes), scope))
    }

    /// Counts a swap of a stream's record.
    pub(super) fn swapped(&self, hash: &StreamHash, before: Option<&[u8]>, after: &[u8]) {
        let before = before.and_then(|value| self.facts(value));
        let after = self.facts(after);
        if before.is_none() && after.is_none() {
            return;
        }
        let mut state = self.state();
        if let (Some((leaf, old, scope)), Some((new_leaf, new, _))) = (before, after)
            && leaf == new_leaf
        {
            state.add(hash, leaf, scope, new.plus(old.negated()));
            return;
        }
        if let Some((leaf, old, scope)) = before {
            state.add(hash, leaf, scope, old.negated());
        }
        if let Some((leaf, new, scope)) = after {
            state.add(hash, leaf, scope, new);
        }
    }

    /// Notes that a change may have been missed, so that everything is counted anew.
    pub(super) fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
    }

    /// Whether a change may have been missed since the last walk began.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.load(Ordering::Relaxed)
    }

    /// Whether a walk would count more prefixes by themselves.
    pub(super) fn has_room_for_rest(&self) -> bool {
        self.state().table().has_room_for_rest()
    }

    /// Counts of a prefix. None if it is counted together with others.
    pub(super) fn of(&self, prefix: &str) -> Option<Counts> {
        self.state().table().of(prefix)
    }

    /// Whether all streams are counted.
    pub(super) fn is_whole(&self) -> bool {
        self.state().is_whole
    }

    /// Counts of at most `most` prefixes after this one, and those of the prefixes that are counted
    /// together.
    pub(super) fn page(&self, after: &str, most: usize) -> (Vec<(String, Counts)>, Counts) {
        let state = self.state();
        let table = state.table();
        let found = table.after(after).take(most);
        let page = found.map(|(prefix, counts)| (prefix.to_owned(), counts));
        (page.collect(), table.rest())
    }

    /// Whether a stream exists. This reads the store.
    pub(super) fn exists(&self, store: &dyn Store, name: &str) -> Result<bool, StoreError> {
        let hash = StreamHash::of(name);
        let is_there = |value: &[u8]| stream(value).is_some_and(|found| found.name == name);
        let found = record(
            store,
            |gate| self.keys.record(&hash, gate),
            |value| is_there(value).then_some(()),
        );
        found.map(|found| found.is_some())
    }

    /// Begins to count everything anew.
    pub(super) fn begin_walk(&self) {
        let mut state = self.state();
        // Doubts that come up from here on are about changes that this walk may miss.
        self.doubt.store(false, Ordering::Relaxed);
        state.walk = Some(Walk::new(Table::new(self.rules.names())));
    }

    /// Visits one leaf. Returns whether the walk goes on. After an error the caller repeats the step.
    pub(super) fn step(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let Some((shard, leaf)) = self.open_leaf() else {
            return Ok(false);
        };
        if let Some(leaf) = leaf {
            let root = self.read_leaf(store, shard, 0)?;
            let leaves = root.as_ref().map_or(0, |root| root.leaves);
            let read = match leaf {
                0 => root,
                leaf if leaf < leaves => self.read_leaf(store, shard, leaf)?,
                _ => None,
            };
            let streams = read.into_iter().flat_map(|leaf| leaf.streams);
            if let Some(walk) = &mut self.state().walk {
                walk.read(streams, leaf >= leaves);
            }
        }
        while let Some(hash) = self.next() {
            self.count(store, &hash)?;
        }
        let mut state = self.state();
        let goes_on = state
            .walk
            .as_mut()
            .is_some_and(|walk| walk.advance(REGISTRY_SHARDS));
        if !goes_on && let Some(walk) = state.walk.take() {
            state.table = walk.table;
            state.is_whole = true;
        }
        Ok(goes_on)
    }

    /// The shard of the walk, and the leaf if it is not read yet.
    fn open_leaf(&self) -> Option<(u8, Option<u32>)> {
        let state = self.state();
        let walk = state.walk.as_ref()?;
        let (shard, leaf) = walk.leaf();
        Some((shard, walk.is_open().then_some(leaf)))
    }

    fn next(&self) -> Option<StreamHash> {
        self.state().walk.as_ref().and_then(Walk::next)
    }

    /// Reads and counts one stream.
    fn count(&self, store: &dyn Store, hash: &StreamHash) -> Result<(), StoreError> {
        let _visit = self.visit(hash);
        let value = record(
            store,
            |gate| self.keys.record(hash, gate),
            |value| stream(value).map(|found| (found.name.to_owned(), found.bytes, found.leaf)),
        )?;
        let mut state = self.state();
        let Some(walk) = &mut state.walk else {
            return Ok(());
        };
        let leaf = value.as_ref().and_then(|(_, _, leaf)| *leaf);
        if walk.pass(hash, leaf)
            && let Some((name, bytes, _)) = &value
            && let Some(scope) = self.rules.scope(name)
        {
            walk.table.add(scope, Counts::of_stream(*bytes));
        }
        Ok(())
    }

    fn read_leaf(
        &self,
        store: &dyn Store,
        shard: u8,
        leaf: u32,
    ) -> Result<Option<RegistryLeaf>, StoreError> {
        record(
            store,
            |gate| self.keys.leaf(shard, leaf, gate),
            registry_leaf,
        )
    }
}

/// Reads the first record behind a gate that `parse` accepts. `keys` returns the key behind a gate, and
/// the key of the next gate. A damaged record counts as absent.
fn record<T>(
    store: &dyn Store,
    keys: impl Fn(u32) -> (String, String),
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    for gate in 0..MOST_GATES {
        let (key, next) = keys(gate);
        let seen = match store.get(&key) {
            Err(StoreError::Damaged(_)) => return Ok(None),
            seen => seen?,
        };
        let parsed = seen.value.as_deref().and_then(&parse);
        if parsed.is_some() || store.guards_creation() || !store.exists(&next)?.0 {
            return Ok(parsed);
        }
    }
    Ok(None)
}
