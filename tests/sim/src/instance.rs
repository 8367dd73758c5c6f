//! One instance of the service, and the faults of its operations on the store.

use crate::faults::Fault;
use crate::sim::Sim;
use crate::store::Store;
use crate::tasks::{Cx, spawn};
use durable_streams_edge::service::env::StoreError;
use kv_model::{Call, Fault as StoreFault};
use std::cell::Cell;
use std::rc::Rc;

/// A write that arrives at the store later.
pub(crate) type Late = Box<dyn FnOnce(&mut Store)>;

/// An operation on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
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

/// Length of a freeze, around `CREATION_PATIENCE_MS`.
pub(crate) const FREEZE_US: (u64, u64) = (5_000_000, 15_000_000);

/// Rates of late writes during an outage, and of conflicts without a reason during a storm. Any
/// store may report such conflicts.
const LATE_IN_OUTAGES: u64 = 300;
const CONFLICTS_IN_STORMS: u64 = 700;

/// Reason for which an instance works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A read, or any other request that is no append.
    Reader,
    /// Appends.
    Writer,
    /// Background work.
    Worker,
}

/// An instance, in one of its lives.
pub(crate) struct Instance<'c> {
    cx: &'c Cx<'c>,
    node: usize,
    life: u64,
    role: Role,
    /// Losses of the store when the step began. The step may have read changes that were lost
    /// later.
    losses: Cell<usize>,
    /// The highest change that was read or written in this step.
    met: Cell<u64>,
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// Why an operation was not done.
pub(crate) enum Failure {
    Store(StoreError),
    /// The swap reports a conflict.
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
    pub(crate) fn new(cx: &'c Cx<'c>, node: usize, role: Role) -> Self {
        Self {
            cx,
            node,
            life: cx.sim.nodes.borrow()[node].life,
            role,
            losses: Cell::new(0),
            met: Cell::new(0),
        }
    }

    pub(crate) const fn sim(&self) -> &Rc<Sim> {
        &self.cx.sim
    }

    pub(crate) const fn node(&self) -> usize {
        self.node
    }

    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// Pauses the operation under way.
    pub(crate) fn pause_ms(&self, ms: u64) {
        self.cx.sleep_ms(ms);
    }

    /// Whether the instance crashed.
    pub(crate) fn is_dead(&self) -> bool {
        self.sim().nodes.borrow()[self.node].life != self.life
    }

    /// Begins a step. After a loss, the host has a new instance for the next step.
    pub(crate) fn begin(&self) {
        self.losses.set(self.sim().store.borrow().losses());
        self.met.set(0);
    }

    /// The highest change that the step read or wrote.
    pub(crate) const fn met(&self) -> u64 {
        self.met.get()
    }

    fn meet(&self, change: u64) {
        self.met.set(self.met.get().max(change));
    }

    /// Refuses operations of an instance that crashed, or that began before the latest loss.
    fn refused(&self) -> Result<(), StoreError> {
        if self.is_dead() {
            return Err(unavailable("the instance crashed"));
        }
        if self.sim().store.borrow().losses() != self.losses.get() {
            return Err(unavailable("changes were lost"));
        }
        Ok(())
    }

    /// Waits as long as an operation takes. Where the store has one connection, the operation waits
    /// for earlier ones. Its lock is not fair, so some later operations may pass.
    fn take_turn(&self) {
        let sim = self.sim();
        let took_us = sim.range(sim.plan.op_us);
        if !sim.plan.queued {
            return self.cx.sleep_us(took_us);
        }
        if sim.chance(50) {
            sim.reach("operations passed by others");
            let passed = sim.range((1, 80));
            self.cx.sleep_us(passed.saturating_mul(took_us));
        }
        let begins = sim.free_us.get().max(self.cx.now_us());
        sim.free_us.set(begins + took_us);
        self.cx.sleep_us(begins + took_us - self.cx.now_us());
    }

    /// Does an operation, with the faults that may happen to it. `late` is the write that arrives
    /// later if the operation reports a failure.
    pub(crate) fn operate<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut Store) -> (T, u64),
        late: impl FnOnce() -> Option<Late>,
    ) -> Result<T, Failure> {
        self.refused()?;
        let sim = self.sim();
        let rates = sim.rates.get();
        self.take_turn();
        if sim.strikes(Fault::Slow, rates.slow) {
            self.cx.sleep_us(sim.range((1, sim.plan.slow_us)));
        }
        // Only creation uses counters, and a freeze is most likely to break a creation.
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
        // An operation that an outage stops has no faults of its own.
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

    /// Applies a late write, after the outage if there is one.
    fn send_late(&self, late: Late, left_us: u64) {
        let sim = self.sim();
        let after_us = left_us + sim.range((1, 2_000_000));
        let losses = self.losses.get();
        spawn(sim, after_us, move |cx| {
            // After a loss, the store takes no write that began before it.
            if cx.sim.store.borrow().losses() == losses {
                cx.sim.act(late);
            }
        });
    }
}

/// For operations that write nothing, so nothing can be late.
pub(crate) fn never() -> Option<Late> {
    None
}
