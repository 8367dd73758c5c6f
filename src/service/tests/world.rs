//! A world in memory: one store that several instances share, a virtual clock, seeded randomness,
//! faults and crashes.
//!
//! `kv_model` has the store, its quirks and its faults. This file serves `Env` with them, and
//! checks the swapped records.

mod instance;

pub(super) use instance::Instance;

use crate::keys::{Envelope, State};
use crate::limits::MAX_VALUE_BYTES;
use bytes::Bytes;
use kv_model::{Call, Fault, Held, LateWrites, Model, Quirks, Random, Rates, Seen};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quirk {
    /// A true compare-and-swap; creation needs no gates.
    Guarded,
    /// A true compare-and-swap; creation uses gates anyway.
    Plain,
    /// See [`Quirks::SPIN_SQLITE`].
    SpinSqlite,
    /// See [`Quirks::SPIN_REDIS`].
    SpinRedis,
}

impl Quirk {
    pub(super) const ALL: [Self; 4] = [
        Self::Guarded,
        Self::Plain,
        Self::SpinSqlite,
        Self::SpinRedis,
    ];

    const fn quirks(self) -> Quirks {
        match self {
            Self::Guarded | Self::Plain => Quirks::BY_VALUE,
            Self::SpinSqlite => Quirks::SPIN_SQLITE,
            Self::SpinRedis => Quirks::SPIN_REDIS,
        }
    }
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

impl Op {
    const fn call(self) -> Call {
        match self {
            Self::Set | Self::Increment => Call::Write,
            Self::Swap => Call::Swap,
            // No test makes a deletion find the store full.
            Self::Get | Self::Exists | Self::Delete | Self::Cas | Self::Current => Call::Read,
        }
    }
}

/// Number of operations of 1000 that each fault strikes; see [`Fault`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) before: u64,
    pub(super) after: u64,
    /// Only of swaps: the offline check removes other writes that land late.
    pub(super) late: u64,
    pub(super) full: u64,
    pub(super) refused: u64,
}

impl Faults {
    fn draw(self, call: Call, random: &mut Random) -> Option<Fault> {
        let rates = Rates {
            before: self.before,
            after: self.after,
            late: if call == Call::Swap { self.late } else { 0 },
            full: self.full,
            refused: self.refused,
            ..Rates::default()
        };
        rates.draw(call, random)
    }
}

/// The shared part of a world.
pub(super) struct World {
    state: Mutex<Shared>,
    /// `None` for a variable that can't be read.
    variables: Mutex<BTreeMap<String, Option<String>>>,
}

struct Shared {
    model: Model,
    late: LateWrites<LateSwap>,
    faults: Faults,
    random: Random,
    clock_us: u64,
    /// Time that each operation takes.
    op_us: u64,
    log: Vec<String>,
}

#[derive(Clone)]
struct LateSwap {
    key: String,
    seen: Option<Seen>,
    value: Bytes,
}

/// Most operations that overtake a late swap.
const OVERTAKING: u64 = 32;

/// 2026-01-01T00:00:00Z in milliseconds.
pub(super) const NEW_YEAR_MS: u64 = 1_767_225_600_000;

impl World {
    pub(super) fn new(quirk: Quirk, seed: u64) -> Arc<Self> {
        let world = Self {
            state: Mutex::new(Shared {
                model: Model::new(quirk.quirks(), MAX_VALUE_BYTES),
                late: LateWrites::new(OVERTAKING),
                faults: Faults::default(),
                random: Random::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(1)),
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

    /// Sets a variable for instances that start later.
    pub(super) fn variable(&self, name: &str, value: &str) {
        let mut variables = self.variables.lock().unwrap();
        variables.insert(name.to_owned(), Some(value.to_owned()));
    }

    /// Makes a variable unreadable for instances that start later.
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

    /// Runs `act` by a clock that is `ms` ahead, or behind.
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
        self.state().random.next()
    }

    /// All keys.
    pub(super) fn keys(&self) -> Vec<String> {
        let state = self.state();
        let entries = state.model.entries();
        entries.map(|(key, _)| key.to_owned()).collect()
    }

    /// The value of a key, without faults.
    pub(super) fn peek(&self, key: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.model.entries().find_map(|entry| match entry {
            (same, Held::Value(value)) if same == key => Some(value.to_vec()),
            _ => None,
        })
    }

    /// Changes a key past all rules; `None` deletes it.
    pub(super) fn poke(&self, key: &str, value: Option<&[u8]>) {
        let value = value.map(|value| value.to_vec().into());
        self.state().model.force(key, value);
    }

    /// All values, as in a backup; the store must have no counters.
    pub(super) fn backup(&self) -> BTreeMap<String, Vec<u8>> {
        let keys = self.keys().into_iter();
        keys.map(|key| (key.clone(), self.peek(&key).unwrap()))
            .collect()
    }

    /// Takes the store back to a backup.
    pub(super) fn restore(&self, backup: &BTreeMap<String, Vec<u8>>) {
        for key in self.keys() {
            if !backup.contains_key(&key) {
                self.poke(&key, None);
            }
        }
        for (key, value) in backup {
            self.poke(key, Some(value));
        }
    }

    /// A number that grows with every change of any key.
    pub(super) fn writes(&self) -> u64 {
        self.state().model.latest()
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// An instance that shares this world.
    pub(super) fn instance(self: &Arc<Self>) -> Instance {
        Instance::new(self.clone(), self.random())
    }

    /// The value of a gate.
    pub(super) fn count(&self, gate: &str) -> i64 {
        self.state().model.count(gate)
    }

    /// Makes all swaps under way arrive.
    pub(super) fn land_late(&self) {
        let mut state = self.state();
        for late in state.late.land() {
            state.swap(late);
        }
    }
}

impl Shared {
    /// Does a swap if its condition holds, and checks the records: versions rise, and a state that
    /// is final stays.
    fn swap(&mut self, swap: LateSwap) -> bool {
        let LateSwap { key, seen, value } = swap;
        let before = seen.as_ref().filter(|seen| self.model.applies(&key, seen));
        if let Some(before) = before.and_then(|seen| seen.value.as_deref()) {
            let open = |bytes| Envelope::decode(bytes).unwrap();
            let (before, after) = (open(before), open(&value));
            assert!(before.version < after.version, "{key} went backward");
            let (was, is) = (before.state, after.state);
            assert!(
                was == State::Unconfirmed || (was, is) == (State::Confirmed, State::Confirmed),
                "{key} went from {was:?} to {is:?}"
            );
        }
        self.model.swap(&key, seen.as_ref(), value).is_some()
    }
}
