//! One instance's view of a world.

use super::super::schedule::Baton;
use super::{LateSwap, Op, Shared, World};
use crate::service::env::{Env, StoreError, SwapError};
use crate::settings::Variables;
use bytes::Bytes;
use kv_model::{Fault, Seen};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Called between two operations of an instance.
pub(crate) type Hook = Box<dyn FnMut(u64, Op, &str) + Send>;

/// One instance of the component, in this world.
pub(crate) struct Instance {
    world: Arc<World>,
    id: u64,
    /// Number of operations so far, and the number after which it crashes.
    ops: Mutex<(u64, Option<u64>)>,
    baton: Option<(Arc<Baton>, usize)>,
    hook: Mutex<Option<Hook>>,
    /// Set when the instance has to crash.
    death: Option<Arc<AtomicBool>>,
}

impl Instance {
    pub(super) fn new(world: Arc<World>, id: u64) -> Self {
        Self {
            world,
            id,
            ops: Mutex::new((0, None)),
            baton: None,
            hook: Mutex::new(None),
            death: None,
        }
    }

    pub(crate) const fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Makes the instance take turns with others at every operation.
    pub(crate) fn taking_turns(mut self, baton: Arc<Baton>, place: usize) -> Self {
        self.baton = Some((baton, place));
        self
    }

    /// Makes the instance crash after `count` operations: later operations do not reach the store.
    pub(crate) fn crashing_after(self, count: u64) -> Self {
        self.ops.lock().unwrap().1 = Some(count);
        self
    }

    /// Makes the instance crash once `death` is set.
    pub(crate) fn dying_once(mut self, death: Arc<AtomicBool>) -> Self {
        self.death = Some(death);
        self
    }

    /// Calls `hook` before every operation, with the number of earlier operations.
    pub(crate) fn with_hook(self, hook: Hook) -> Self {
        *self.hook.lock().unwrap() = Some(hook);
        self
    }

    /// Operations that reached the store.
    pub(crate) fn ops(&self) -> u64 {
        self.ops.lock().unwrap().0
    }

    /// Whether it crashed.
    pub(crate) fn is_dead(&self) -> bool {
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

    /// Performs an operation, or `late` if the operation should arrive later.
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
pub(crate) struct Handle {
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
        let values = all.iter().map(|(name, value)| match value {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(format!("{name} is withheld")),
        });
        values.collect()
    }

    fn instance(&self) -> u64 {
        self.id
    }

    fn log(&self, line: &str) {
        self.world.state().log.push(line.to_owned());
    }
}
