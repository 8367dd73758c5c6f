//! A world in memory: one store that several instances share, a virtual clock, seeded randomness,
//! faults and crashes.
//!
//! The store, its quirks and its faults are those of `kv_model`. This file serves `Env` with them,
//! and checks the records that are swapped.

use super::schedule::Baton;
use crate::keys::{Envelope, State};
use crate::limits::MAX_VALUE_BYTES;
use crate::service::env::{Env, StoreError, SwapError};
use crate::settings::Variables;
use bytes::Bytes;
use kv_model::{Call, Fault, Held, LateWrites, Model, Quirks, Random, Rates, Seen};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quirk {
    /// A true compare-and-swap; creation needs no gates.
    Guarded,
    /// A true compare-and-swap; creation uses gates all the same.
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
            // No test lets a deletion find no room.
            Self::Get | Self::Exists | Self::Delete | Self::Cas | Self::Current => Call::Read,
        }
    }
}

/// Number of operations of 1000 that each fault strikes; see [`Fault`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) before: u64,
    pub(super) after: u64,
    /// Of swaps alone: what arrives late of other writes is for the offline check to remove.
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
    /// None for a variable that can't be told.
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
        self.state().random.next()
    }

    /// The keys there are.
    pub(super) fn keys(&self) -> Vec<String> {
        let state = self.state();
        let entries = state.model.entries();
        entries.map(|(key, _)| key.to_owned()).collect()
    }

    /// The value of a key, past all faults.
    pub(super) fn peek(&self, key: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.model.entries().find_map(|entry| match entry {
            (same, Held::Value(value)) if same == key => Some(value.to_vec()),
            _ => None,
        })
    }

    /// Changes a key past all rules; no value deletes it.
    pub(super) fn poke(&self, key: &str, value: Option<&[u8]>) {
        let value = value.map(|value| value.to_vec().into());
        self.state().model.force(key, value);
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
        self.state().model.count(gate)
    }

    /// Lets all swaps under way arrive.
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
        self.operate_or_late(op, key, act, |_| unreachable!("only swaps are late"))
    }

    /// Does an operation, or `late` if it is to arrive later.
    fn operate_or_late<T>(
        &self,
        op: Op,
        key: &str,
        act: impl FnOnce(&mut Shared) -> T,
        late: impl FnOnce(&mut Shared),
    ) -> Result<T, StoreError> {
        if let Some((baton, place)) = &self.baton {
            baton.pass(*place);
        }
        let hook = self.hook.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook(self.ops(), op, key);
            *self.hook.lock().unwrap() = Some(hook);
        }
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
        for late in state.late.pass() {
            state.swap(late);
        }
        let Shared { faults, random, .. } = &mut *state;
        let injected = || "injected".to_owned();
        match faults.draw(op.call(), random) {
            Some(Fault::Full) => Err(StoreError::Full(injected())),
            Some(Fault::Refused) => Err(StoreError::Refused(injected())),
            Some(Fault::Late) => {
                late(&mut state);
                Err(gone())
            }
            Some(fault) => {
                if fault.applies() {
                    act(&mut state);
                }
                Err(gone())
            }
            None => Ok(act(&mut state)),
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
        let seen = self.operate(Op::Get, key, |state| state.model.see(key))?;
        Ok(seen.value.map(Vec::from))
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        self.operate(Op::Exists, key, |state| state.model.exists(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.operate(Op::Set, key, |state| {
            state.model.set(key, value.to_vec());
        })
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.operate(Op::Delete, key, |state| {
            state.model.delete(key);
        })
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.operate(Op::Increment, key, |state| {
            state.model.increment(key, delta).0
        })
    }

    fn cas(&self, key: &str) -> Result<Handle, StoreError> {
        self.operate(Op::Cas, key, |_| Handle {
            key: key.to_owned(),
            seen: Mutex::new(None),
        })
    }

    fn current(&self, cas: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.operate(Op::Current, &cas.key, |state| state.model.see(&cas.key))?;
        let value = seen.value.clone().map(Vec::from);
        *cas.seen.lock().unwrap() = Some(seen);
        Ok(value)
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let Handle { key, seen } = cas;
        let again = Handle {
            key: key.clone(),
            seen: Mutex::new(None),
        };
        let swap = LateSwap {
            seen: seen.into_inner().unwrap(),
            key: key.clone(),
            value: Bytes::copy_from_slice(value),
        };
        let applied = self.operate_or_late(
            Op::Swap,
            &key,
            |state| state.swap(swap.clone()),
            |state| state.late.push(swap.clone(), &mut state.random),
        );
        let applied = applied.map_err(SwapError::Store)?;
        let quirks = self.world.state().model.quirks();
        let outcome = if applied { Ok(()) } else { Err(()) };
        let answer = quirks.answer(outcome, || ());
        answer.map_err(|()| SwapError::Failed(again))
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
