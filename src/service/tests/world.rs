//! A world in memory: one store that several instances share, with the quirks of real ones, a
//! virtual clock, seeded randomness, faults and crashes.
//!
//! The store holds the service to what `service::env` counts on while it serves it: whoever breaks
//! a rule of it fails the test, whatever the test was about.

use super::schedule::Baton;
use crate::keys::{Envelope, State};
use crate::limits::MAX_VALUE_BYTES;
use crate::service::env::{Env, StoreError, SwapError};
use crate::settings::Variables;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// How the store's swap behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quirk {
    /// It does what it should; creation needs no gates.
    Guarded,
    /// It does what it should; creation uses gates all the same.
    Plain,
    /// A swap of a key that was absent overwrites whatever is there (Spin on SQLite).
    SpinSqlite,
    /// Every swap is said to have failed, the applied ones too (Spin on Redis).
    SpinRedis,
}

impl Quirk {
    pub(super) const ALL: [Self; 4] = [
        Self::Guarded,
        Self::Plain,
        Self::SpinSqlite,
        Self::SpinRedis,
    ];
}

/// An operation on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Get,
    Exists,
    Set,
    Delete,
    Increment,
    Cas,
    Current,
    Swap,
}

/// What may go wrong with an operation, in thousandths of all operations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// An error, and nothing was done.
    pub(super) before: u64,
    /// An error, though it was done.
    pub(super) after: u64,
    /// A swap that is answered with an error and arrives at the store later.
    pub(super) late: u64,
    /// No room for a write, and nothing was done.
    pub(super) full: u64,
    /// No writes are taken, and nothing was done.
    pub(super) refused: u64,
}

/// The shared part of a world.
pub(super) struct World {
    quirk: Quirk,
    state: Mutex<Shared>,
    /// Nothing for one that can't be told.
    variables: Mutex<BTreeMap<String, Option<String>>>,
}

struct Shared {
    values: BTreeMap<String, (Vec<u8>, u64)>,
    counters: BTreeMap<String, i64>,
    /// Keys that were swapped, and keys that were set: never the same.
    swapped: BTreeSet<String>,
    set: BTreeSet<String>,
    writes: u64,
    late: Vec<LateSwap>,
    faults: Faults,
    random: u64,
    clock_us: u64,
    /// Time that each operation takes.
    op_us: u64,
    log: Vec<String>,
}

struct LateSwap {
    key: String,
    seen: Option<Seen>,
    value: Vec<u8>,
}

type Seen = Option<(Vec<u8>, u64)>;

/// 2026-01-01T00:00:00Z in milliseconds.
pub(super) const NEW_YEAR_MS: u64 = 1_767_225_600_000;

impl World {
    pub(super) fn new(quirk: Quirk, seed: u64) -> Arc<Self> {
        let world = Self {
            quirk,
            state: Mutex::new(Shared {
                values: BTreeMap::new(),
                counters: BTreeMap::new(),
                swapped: BTreeSet::new(),
                set: BTreeSet::new(),
                writes: 0,
                late: Vec::new(),
                faults: Faults::default(),
                random: seed.wrapping_mul(0x9e37_79b9).wrapping_add(1),
                clock_us: NEW_YEAR_MS * 1000,
                op_us: 0,
                log: Vec::new(),
            }),
            variables: Mutex::new(BTreeMap::new()),
        };
        let world = Arc::new(world);
        let guarded = (quirk == Quirk::Guarded).to_string();
        world.variable("kv_guarded_create", &guarded);
        world
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap()
    }

    /// Gives instances that start from now on a variable.
    pub(super) fn variable(&self, name: &str, value: &str) {
        let mut variables = self.variables.lock().unwrap();
        variables.insert(name.to_owned(), Some(value.to_owned()));
    }

    /// Lets instances that start from now on fail when they ask for a variable.
    pub(super) fn withhold(&self, name: &str) {
        self.variables.lock().unwrap().insert(name.to_owned(), None);
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    pub(super) fn set_op_us(&self, us: u64) {
        self.state().op_us = us;
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.state().clock_us / 1000
    }

    pub(super) fn advance(&self, ms: u64) {
        let mut state = self.state();
        state.clock_us += ms * 1000;
    }

    /// Moves the clock to `ms` unless it is later already.
    pub(super) fn advance_to(&self, ms: u64) {
        let mut state = self.state();
        state.clock_us = state.clock_us.max(ms * 1000);
    }

    /// Does something by a clock that is so much ahead, or behind.
    pub(super) fn by_a_clock_off(&self, ms: i64, act: impl FnOnce()) {
        let shift = |ms: i64| {
            let mut state = self.state();
            state.clock_us = state.clock_us.strict_add_signed(ms * 1000);
        };
        shift(ms);
        act();
        shift(-ms);
    }

    pub(super) fn random(&self) -> u64 {
        self.state().draw()
    }

    /// The keys there are.
    pub(super) fn keys(&self) -> Vec<String> {
        let state = self.state();
        state
            .values
            .keys()
            .chain(state.counters.keys())
            .cloned()
            .collect()
    }

    /// The value of a key, past all faults.
    pub(super) fn peek(&self, key: &str) -> Option<Vec<u8>> {
        self.state().values.get(key).map(|value| value.0.clone())
    }

    /// Changes a key behind everybody's back.
    pub(super) fn poke(&self, key: &str, value: Option<&[u8]>) {
        let mut state = self.state();
        match value {
            Some(value) => state.put(key, value.to_vec()),
            None => drop(state.values.remove(key)),
        }
    }

    /// A number that grows with every change of any key.
    pub(super) fn writes(&self) -> u64 {
        self.state().writes
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// An instance that shares this world.
    pub(super) fn instance(self: &Arc<Self>) -> Instance {
        Instance {
            world: self.clone(),
            id: self.random(),
            ops: Mutex::new((0, None)),
            baton: None,
            hook: Mutex::new(None),
            death: None,
        }
    }

    /// The value of a gate.
    pub(super) fn count(&self, gate: &str) -> i64 {
        self.state().counters.get(gate).copied().unwrap_or_default()
    }

    /// Lets all swaps under way arrive.
    pub(super) fn land_late(&self) {
        let mut state = self.state();
        while let Some(late) = state.late.pop() {
            state.swap(self.quirk, &late.key, late.seen, late.value);
        }
    }
}

impl Shared {
    /// The next number of a splitmix64 generator.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn put(&mut self, key: &str, value: Vec<u8>) {
        assert!(value.len() <= MAX_VALUE_BYTES, "{key}: {}", value.len());
        self.writes += 1;
        let stamp = self.writes;
        self.values.insert(key.to_owned(), (value, stamp));
    }

    /// Does a swap if its condition holds.
    fn swap(&mut self, quirk: Quirk, key: &str, seen: Option<Seen>, value: Vec<u8>) -> bool {
        let seen = seen.expect("current is called before every swap");
        let now = self.values.get(key);
        let holds = match (&seen, quirk) {
            (None, Quirk::SpinSqlite) => {
                assert!(now.is_none(), "a late creation overwrote the record {key}");
                true
            }
            // WATCH notices every write, also one that leaves the value as it was.
            (_, Quirk::SpinRedis) => now.map(|now| now.1) == seen.as_ref().map(|seen| seen.1),
            _ => now.map(|now| &now.0) == seen.as_ref().map(|seen| &seen.0),
        };
        if !holds {
            return false;
        }
        let version = |bytes: &[u8]| Envelope::decode(bytes).unwrap().version;
        if let Some((before, _)) = &seen {
            assert!(version(before) < version(&value), "{key} went backward");
            let was = Envelope::decode(before).unwrap().state;
            let is = Envelope::decode(&value).unwrap().state;
            assert!(
                was == State::Unconfirmed || (was, is) == (State::Confirmed, State::Confirmed),
                "{key} went from {was:?} to {is:?}"
            );
        }
        self.put(key, value);
        true
    }

    fn check_key(key: &str) {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(key.len() <= 200 && key.bytes().all(good), "{key}");
    }
}

/// Done between two operations of an instance.
pub(super) type Hook = Box<dyn FnMut(u64, Op, &str) + Send>;

/// One instance of the component, as far as the world sees it.
pub(super) struct Instance {
    world: Arc<World>,
    id: u64,
    /// Operations so far, and how many it lives for.
    ops: Mutex<(u64, Option<u64>)>,
    baton: Option<(Arc<Baton>, usize)>,
    hook: Mutex<Option<Hook>>,
    /// Set when it is to crash.
    death: Option<Arc<AtomicBool>>,
}

impl Instance {
    pub(super) const fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The same, which takes turns with others at every operation.
    pub(super) fn taking_turns(mut self, baton: Arc<Baton>, place: usize) -> Self {
        self.baton = Some((baton, place));
        self
    }

    /// The same, which crashes after `count` operations: from then on nothing of it reaches the
    /// store.
    pub(super) fn crashing_after(self, count: u64) -> Self {
        self.ops.lock().unwrap().1 = Some(count);
        self
    }

    /// The same, which crashes once `death` is set.
    pub(super) fn dying_once(mut self, death: Arc<AtomicBool>) -> Self {
        self.death = Some(death);
        self
    }

    /// The same, with `hook` called before every operation with the number of those before it.
    pub(super) fn with_hook(self, hook: Hook) -> Self {
        *self.hook.lock().unwrap() = Some(hook);
        self
    }

    /// Operations that reached the store.
    pub(super) fn ops(&self) -> u64 {
        self.ops.lock().unwrap().0
    }

    /// Whether it crashed.
    pub(super) fn is_dead(&self) -> bool {
        let (ops, life) = *self.ops.lock().unwrap();
        life.is_some_and(|life| ops > life)
    }

    fn operate<T>(
        &self,
        op: Op,
        key: &str,
        act: impl FnOnce(&mut Shared) -> T,
    ) -> Result<T, StoreError> {
        if let Some((baton, place)) = &self.baton {
            baton.pass(*place);
        }
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(self.ops(), op, key);
            *self.hook.lock().unwrap() = Some(hook);
        }
        Shared::check_key(key);
        let gone = || StoreError::Unavailable("injected".to_owned());
        let dies = |death: &Arc<AtomicBool>| death.load(Ordering::Relaxed);
        if self.death.as_ref().is_some_and(dies) {
            return Err(gone());
        }
        {
            let mut ops = self.ops.lock().unwrap();
            ops.0 += 1;
            if ops.1.is_some_and(|life| ops.0 > life) {
                return Err(gone());
            }
        }
        let mut state = self.world.state();
        state.clock_us += state.op_us;
        if !state.late.is_empty() && state.draw().is_multiple_of(4) {
            let late = state.late.swap_remove(0);
            state.swap(self.world.quirk, &late.key, late.seen, late.value);
        }
        let luck = state.draw() % 1000;
        let Faults {
            before,
            after,
            full,
            refused,
            ..
        } = state.faults;
        if luck < before {
            return Err(gone());
        }
        let writes = matches!(op, Op::Set | Op::Increment | Op::Swap);
        let other = luck.checked_sub(before + after).filter(|_| writes);
        match other {
            Some(luck) if luck < full => return Err(StoreError::Full("injected".to_owned())),
            Some(luck) if luck < full + refused => {
                return Err(StoreError::Refused("injected".to_owned()));
            }
            _ => {}
        }
        let done = act(&mut state);
        match luck < before + after {
            true => Err(gone()),
            false => Ok(done),
        }
    }
}

/// A compare-and-swap handle.
#[derive(Debug)]
pub(super) struct Handle {
    key: String,
    seen: Mutex<Option<Seen>>,
}

impl Env for Instance {
    type Cas = Handle;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.operate(Op::Get, key, |state| {
            assert!(!state.counters.contains_key(key), "{key} is a gate");
            state.values.get(key).map(|value| value.0.clone())
        })
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.operate(Op::Exists, key, |state| {
            state.values.contains_key(key) || state.counters.contains_key(key)
        })
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.operate(Op::Set, key, |state| {
            assert!(!state.swapped.contains(key), "{key} is swapped and set");
            state.set.insert(key.to_owned());
            state.put(key, value.to_vec());
        })
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.operate(Op::Delete, key, |state| {
            assert!(!state.swapped.contains(key), "{key} is swapped and deleted");
            state.writes += 1;
            drop(state.values.remove(key));
        })
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.operate(Op::Increment, key, |state| {
            assert!(!state.values.contains_key(key), "{key} is no gate");
            let counter = state.counters.entry(key.to_owned()).or_insert(0);
            *counter += delta;
            *counter
        })
    }

    fn cas(&self, key: &str) -> Result<Handle, StoreError> {
        self.operate(Op::Cas, key, |_| Handle {
            key: key.to_owned(),
            seen: Mutex::new(None),
        })
    }

    fn current(&self, cas: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
        self.operate(Op::Current, &cas.key, |state| {
            let value = state.values.get(&cas.key).cloned();
            *cas.seen.lock().unwrap() = Some(value.clone());
            value.map(|value| value.0)
        })
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let quirk = self.world.quirk;
        let Handle { key, seen } = cas;
        let seen = seen.into_inner().unwrap();
        let applied = self.operate(Op::Swap, &key, |state| {
            assert!(!state.set.contains(&key), "{key} is set and swapped");
            state.swapped.insert(key.clone());
            if state.draw() % 1000 < state.faults.late {
                let (key, value) = (key.clone(), value.to_vec());
                state.late.push(LateSwap { key, seen, value });
                return None;
            }
            Some(state.swap(quirk, &key, seen, value.to_vec()))
        });
        let error = || StoreError::Unavailable("injected".to_owned());
        match applied.map_err(SwapError::Store)? {
            None => Err(SwapError::Store(error())),
            Some(true) if quirk != Quirk::SpinRedis => Ok(()),
            Some(_) => Err(SwapError::Failed(Handle {
                key,
                seen: Mutex::new(None),
            })),
        }
    }

    fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    fn random(&self) -> u64 {
        self.world.random()
    }

    fn variables(&self) -> Result<Variables, String> {
        let all = self.world.variables.lock().unwrap();
        let told = all.iter().map(|(name, value)| match value {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(format!("{name} is withheld")),
        });
        told.collect()
    }

    fn instance(&self) -> u64 {
        self.id
    }

    fn log(&self, line: &str) {
        self.world.state().log.push(line.to_owned());
    }
}
