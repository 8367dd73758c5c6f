//! The world as one instance of the service sees it during an exchange. Every operation on the
//! store takes time, in which anything else may happen, and may fail.

use crate::faults::Fault;
use crate::forge::{forge, is_tombstone};
use crate::planted::Planted;
use crate::sim::Sim;
use crate::store::Store;
use crate::tasks::{Cx, spawn};
use durable_streams_edge::service::env::{Env, StoreError, SwapError};
use durable_streams_edge::settings::Variables;
use kv_model::{Call, Fault as StoreFault, Seen};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What arrives at the store later.
type Late = Box<dyn FnOnce(&mut Store)>;

/// An operation on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Read,
    Write,
    Swap,
    Count,
}

impl Op {
    const fn call(self) -> Call {
        match self {
            Self::Read => Call::Read,
            Self::Write | Self::Count => Call::Write,
            Self::Swap => Call::Swap,
        }
    }
}

/// How long an instance stands still, around `CREATION_PATIENCE_MS`.
const FREEZE_US: (u64, u64) = (5_000_000, 15_000_000);

/// Rates while the store is out, and while swaps conflict without a reason, as any store may let
/// them.
const LATE_IN_OUTAGES: u64 = 300;
const CONFLICTS_IN_STORMS: u64 = 700;

/// An instance, in one of its lives.
pub(crate) struct Instance<'c> {
    cx: &'c Cx<'c>,
    node: usize,
    life: u64,
    /// Losses of the store when the step began; what was lost later it may know of.
    losses: Cell<usize>,
    /// The highest change that was read or written in this step.
    met: Cell<u64>,
}

/// A compare-and-swap handle.
#[derive(Debug)]
pub(crate) struct Handle {
    key: String,
    seen: RefCell<Option<Seen>>,
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// Why an operation did not do what it was asked.
enum Failure {
    Store(StoreError),
    /// The swap is said to have failed.
    Conflict,
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Conflict => unreachable!("only swaps conflict"),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreFault> for Failure {
    fn from(fault: StoreFault) -> Self {
        let why = format!("injected: {}", fault.name());
        Self::Store(match fault {
            StoreFault::Full => StoreError::Full(why),
            StoreFault::Refused => StoreError::Refused(why),
            StoreFault::Conflict | StoreFault::Denied => return Self::Conflict,
            _ => StoreError::Unavailable(why),
        })
    }
}

impl<'c> Instance<'c> {
    pub(crate) fn new(cx: &'c Cx<'c>, node: usize) -> Self {
        Self {
            cx,
            node,
            life: cx.sim.nodes.borrow()[node].life,
            losses: Cell::new(0),
            met: Cell::new(0),
        }
    }

    const fn sim(&self) -> &Rc<Sim> {
        &self.cx.sim
    }

    pub(crate) const fn node(&self) -> usize {
        self.node
    }

    /// Whether it crashed.
    pub(crate) fn is_dead(&self) -> bool {
        self.sim().nodes.borrow()[self.node].life != self.life
    }

    /// Begins a step. The host has a new instance for it after a loss.
    pub(crate) fn begin(&self) {
        self.losses.set(self.sim().store.borrow().model().losses());
        self.met.set(0);
    }

    /// The highest change that the step met.
    pub(crate) const fn met(&self) -> u64 {
        self.met.get()
    }

    fn meet(&self, change: u64) {
        self.met.set(self.met.get().max(change));
    }

    /// Whether nothing that this instance does reaches the store any more.
    fn refused(&self) -> Result<(), StoreError> {
        if self.is_dead() {
            return Err(unavailable("the instance crashed"));
        }
        if self.sim().store.borrow().model().losses() != self.losses.get() {
            return Err(unavailable("changes were lost"));
        }
        Ok(())
    }

    /// Does an operation, with all that may happen to it. `late` is what arrives of it if it is
    /// said to have failed.
    fn operate<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut Store) -> (T, u64),
        late: impl FnOnce() -> Option<Late>,
    ) -> Result<T, Failure> {
        self.refused()?;
        let sim = self.sim();
        let rates = sim.rates.get();
        self.cx.sleep_us(sim.range(sim.plan.op_us));
        if sim.strikes(Fault::Slow, rates.slow) {
            self.cx.sleep_us(sim.range((1, sim.plan.slow_us)));
        }
        // Only creation counts, and it goes wrong around its counters if anywhere.
        let freeze = match op {
            Op::Count => rates.freeze,
            Op::Swap => rates.freeze / 4,
            Op::Read | Op::Write => rates.freeze / 10,
        };
        if sim.strikes(Fault::Freeze, freeze) {
            self.cx.sleep_us(sim.range(FREEZE_US));
        }
        self.refused()?;
        sim.operations.set(sim.operations.get() + 1);
        if sim.strikes(Fault::CrashBefore, rates.crash) {
            sim.crash(self.node);
            return Err(unavailable("the instance crashed").into());
        }
        let (outage, over_us) = sim.outage.get();
        let left_us = over_us.saturating_sub(self.cx.now_us());
        let mut rates_now = rates.store;
        if left_us > 0 {
            rates_now.late = LATE_IN_OUTAGES;
        }
        if sim.storm.get() {
            rates_now.conflict = CONFLICTS_IN_STORMS;
        }
        let fault = rates_now.draw(op.call(), &mut sim.random.borrow_mut());
        let fault = match fault {
            Some(StoreFault::Late) => match late() {
                None => None,
                Some(late) => {
                    sim.injected.borrow_mut().add_of_store(StoreFault::Late);
                    self.send_late(late, left_us);
                    return Err(StoreFault::Late.into());
                }
            },
            fault => fault,
        };
        // What an outage stops has no faults of its own.
        let stopped = outage.fault(op.call()).filter(|_| left_us > 0);
        if let Some(fault) = stopped {
            return Err(fault.into());
        }
        if let Some(fault) = fault {
            sim.injected.borrow_mut().add_of_store(fault);
            if !fault.applies() {
                return Err(fault.into());
            }
        }
        let (done, change) = sim.act(act);
        self.meet(change);
        if sim.strikes(Fault::CrashAfter, rates.crash) {
            sim.crash(self.node);
            return Err(unavailable("the instance crashed").into());
        }
        match fault {
            Some(fault) => Err(fault.into()),
            None => Ok(done),
        }
    }

    /// Lets a write arrive after the outage, if there is one.
    fn send_late(&self, late: Late, left_us: u64) {
        let sim = self.sim();
        let after_us = left_us + sim.range((1, 2_000_000));
        let losses = self.losses.get();
        spawn(sim, after_us, move |cx| {
            // A store that loses changes takes none that was begun before.
            if cx.sim.store.borrow().model().losses() == losses {
                cx.sim.act(late);
            }
        });
    }
}

/// What can't be late, because nothing was asked for.
fn never() -> Option<Late> {
    None
}

impl Env for Instance<'_> {
    type Cas = Handle;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let place = (self.node, key.to_owned());
        let remembered = self.sim().remembered.borrow().get(&place).cloned();
        if let Some(value) = remembered
            && self.sim().plants(Planted::ReadFromMemory, 100)
        {
            return Ok(value);
        }
        let look = |store: &mut Store| {
            let seen = store.model().see(key);
            (seen.value.map(Vec::from), seen.changed)
        };
        let value = self.operate(Op::Read, look, never)?;
        if self.sim().planted == Some(Planted::ReadFromMemory) {
            let mut remembered = self.sim().remembered.borrow_mut();
            remembered.insert(place, value.clone());
        }
        Ok(value)
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        let look = |store: &mut Store| {
            let model = store.model();
            (model.exists(key), model.last_change(key))
        };
        Ok(self.operate(Op::Read, look, never)?)
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        match key.get(..2) {
            Some("c.") => self.sim().reach("chunks stored"),
            Some("i.") => self.sim().reach("index blocks stored"),
            Some("d.") => self.sim().reach("debts noted"),
            _ => {}
        }
        if key.starts_with("c.") && self.sim().plants(Planted::ChunkNotStored, 200) {
            return Ok(());
        }
        let late = || {
            let (key, value) = (key.to_owned(), value.to_vec());
            let set = move |store: &mut Store| store.set_late(&key, value);
            Some(Box::new(set) as Late)
        };
        let set = |store: &mut Store| ((), store.set(key, value.to_vec()));
        Ok(self.operate(Op::Write, set, late)?)
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        let late = || {
            let key = key.to_owned();
            let delete = move |store: &mut Store| {
                let _ = store.delete(&key);
            };
            Some(Box::new(delete) as Late)
        };
        Ok(self.operate(Op::Write, |store| ((), store.delete(key)), late)?)
    }

    fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        if delta > 0 && !key.ends_with(".0") {
            self.sim().reach("creations taken over");
        }
        Ok(self.operate(Op::Count, |store| store.increment(key, delta), never)?)
    }

    fn cas(&self, key: &str) -> Result<Handle, StoreError> {
        Ok(Handle {
            key: key.to_owned(),
            seen: RefCell::new(None),
        })
    }

    fn current(&self, cas: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.operate(
            Op::Read,
            |store| {
                let seen = store.model().see(&cas.key);
                let changed = seen.changed;
                (seen, changed)
            },
            never,
        )?;
        let value = seen.value.clone().map(Vec::from);
        *cas.seen.borrow_mut() = Some(seen);
        Ok(value)
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let Handle { key, seen } = cas;
        let seen = seen.into_inner();
        let sim = self.sim();
        let head = key.starts_with("s.");
        if head && sim.plants(Planted::SwapNotApplied, 100) {
            return Ok(());
        }
        if key.starts_with("u.") && sim.plants(Planted::WakeForgotten, 100) {
            return Ok(());
        }
        let forged = if head {
            forge(sim, seen.as_ref(), value)
        } else {
            None
        };
        let value = forged.as_deref().unwrap_or(value);
        let overwrites = head && sim.plants(Planted::SwapOverwrites, 500);
        let late = || {
            let (key, seen, value) = (key.clone(), seen.clone(), value.to_vec());
            let swap = move |store: &mut Store| {
                let _ = store.swap(&key, seen.as_ref(), value);
            };
            Some(Box::new(swap) as Late)
        };
        let applied = self.operate(
            Op::Swap,
            |store| {
                let change = match overwrites {
                    true => Some(store.force(&key, Some(value.to_vec()))),
                    false => store.swap(&key, seen.as_ref(), value.to_vec()),
                };
                let met = change.unwrap_or_else(|| store.model().last_change(&key));
                (change.is_some(), met)
            },
            late,
        );
        if head && is_tombstone(value) && sim.plants(Planted::TombstoneForgotten, 500) {
            sim.act(|store| store.force(&key, None));
        }
        let again = Handle {
            key,
            seen: RefCell::new(None),
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(Failure::Store(error)) => return Err(SwapError::Store(error)),
            Err(Failure::Conflict) => return Err(SwapError::Failed(again)),
        };
        let outcome = if applied { Ok(()) } else { Err(()) };
        let quirks = self.sim().store.borrow().model().quirks();
        let answer = quirks.answer(outcome, || ());
        answer.map_err(|()| SwapError::Failed(again))
    }

    fn now_ms(&self) -> u64 {
        let early = self.sim().plants(Planted::ExpiresEarly, 50);
        let clock = self.sim().clock_ms(self.node);
        clock + if early { 3_600_000 } else { 0 }
    }

    fn random(&self) -> u64 {
        if self.sim().plants(Planted::RandomRepeats, 1000) {
            return self.sim().random.borrow_mut().below(3);
        }
        self.sim().random.borrow_mut().next()
    }

    fn variables(&self) -> Result<Variables, String> {
        let variables = self.sim().plan.variables.iter().rev();
        let pair = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        Ok(variables.map(pair).collect())
    }

    fn instance(&self) -> u64 {
        self.node as u64
    }

    fn log(&self, line: &str) {
        if line.contains("damaged") || line.contains("not returned") {
            self.sim().logs.borrow_mut().push(line.to_owned());
        }
    }
}
