//! A store with injected faults: `--inject faults:SEED`.

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use kv_model::{Call, Fault, LateWrites, Random, Rates};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A small append is two operations, so most appends succeed and a few in a hundred need a retry.
const INJECTED: Rates = Rates {
    before: 10,
    after: 10,
    time_out_before: 2,
    time_out_after: 2,
    late: 10,
    full: 2,
    refused: 0,
    conflict: 10,
    denied: 10,
};

/// Largest number of operations that overtake a late write.
const OVERTAKING: u64 = 32;

/// Duration of an operation that times out.
const TIME_OUT: Duration = Duration::from_millis(5);

/// Fails at random as network stores do; see [`Fault`]. The seed and the order of the operations
/// determine which operations fail.
///
/// A read always returns the latest value, and a late swap still checks its condition. So no fault
/// breaks a guarantee of the store.
pub struct FaultyStore {
    below: Arc<dyn Store>,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    random: Random,
    rates: Rates,
    late: LateWrites<Late>,
}

/// A write that failed for the caller, but is still under way.
struct Late {
    key: Box<str>,
    write: Write,
}

enum Write {
    Set(Bytes),
    Delete,
    Increment(i64),
    Swap(Option<Seen>, Bytes),
}

impl Late {
    /// Applies the write. No caller waits for the result.
    fn land(self, below: &dyn Store) {
        let key = &*self.key;
        match self.write {
            Write::Set(value) => drop(below.set(key, value)),
            Write::Delete => drop(below.delete(key)),
            Write::Increment(delta) => drop(below.increment(key, delta)),
            Write::Swap(Some(seen), value) => drop(below.swap(key, &seen, value)),
            Write::Swap(None, value) => drop(below.swap_unseen(key, value)),
        }
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(format!("injected: {why}"))
}

/// Returns the error of an operation that this fault struck. A time-out delays it.
fn failure(fault: Fault) -> StoreError {
    match fault {
        Fault::Before => unavailable("not sent"),
        Fault::After => unavailable("no answer"),
        Fault::TimeOutBefore | Fault::TimeOutAfter => {
            std::thread::sleep(TIME_OUT);
            unavailable("timed out")
        }
        Fault::Late => unavailable("no answer yet"),
        Fault::Full => StoreError::Full("injected".to_owned()),
        Fault::Refused => StoreError::Refused("injected".to_owned()),
        Fault::Conflict | Fault::Denied => unavailable("no reason"),
    }
}

impl FaultyStore {
    /// Wraps `below`, which keeps all data.
    #[must_use]
    pub const fn new(below: Arc<dyn Store>, seed: u64) -> Self {
        Self::with_rates(below, seed, INJECTED)
    }

    const fn with_rates(below: Arc<dyn Store>, seed: u64, rates: Rates) -> Self {
        let state = Mutex::new(State {
            random: Random::new(seed),
            rates,
            late: LateWrites::new(OVERTAKING),
        });
        Self { below, seed, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies every write that is still under way.
    pub fn land(&self) {
        let late = self.state().late.land();
        late.into_iter().for_each(|late| late.land(&*self.below));
    }

    /// Begins an operation. Late writes that are due are applied before it.
    fn draw(&self, call: Call) -> Option<Fault> {
        let mut state = self.state();
        // Hold the lock, or another operation could come between late writes that are due together.
        let due = state.late.pass();
        due.into_iter().for_each(|late| late.land(&*self.below));
        let State { random, rates, .. } = &mut *state;
        rates.draw(call, random)
    }

    fn reading<T>(&self, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.draw(Call::Read) {
            None => act(),
            Some(fault) => Err(failure(fault)),
        }
    }

    fn write<T, E: From<StoreError>>(
        &self,
        call: Call,
        late: impl FnOnce() -> (Box<str>, Write),
        act: impl FnOnce() -> Result<T, E>,
        conflict: impl FnOnce() -> E,
    ) -> Result<T, E> {
        let Some(fault) = self.draw(call) else {
            return act();
        };
        if fault == Fault::Late {
            let (key, write) = late();
            let State { random, late, .. } = &mut *self.state();
            late.push(Late { key, write }, random);
        }
        if fault.applies() {
            act()?;
        }
        Err(match fault {
            Fault::Conflict | Fault::Denied => conflict(),
            fault => E::from(failure(fault)),
        })
    }

    fn plain<T>(
        &self,
        late: impl FnOnce() -> (Box<str>, Write),
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write(Call::Write, late, act, || unavailable("no reason"))
    }
}

impl Store for FaultyStore {
    fn kind(&self) -> &'static str {
        self.below.kind()
    }

    /// A fault may report an applied swap as failed.
    fn is_sure_of_conflicts(&self) -> bool {
        false
    }

    fn guards_creation(&self) -> bool {
        self.below.guards_creation()
    }

    fn describe(&self) -> String {
        format!("{} with faults:{}", self.below.describe(), self.seed)
    }

    fn ignores_labels(&self) -> bool {
        self.below.ignores_labels()
    }

    fn get(&self, key: &str) -> Result<Seen, StoreError> {
        self.reading(|| self.below.get(key))
    }

    fn read(&self, key: &str) -> Result<Seen, StoreError> {
        self.reading(|| self.below.read(key))
    }

    fn get_now(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        self.reading(|| self.below.get_now(key))
    }

    fn exists(&self, key: &str) -> Result<(bool, ChangeNumber), StoreError> {
        self.reading(|| self.below.exists(key))
    }

    fn set(&self, key: &str, value: Bytes) -> Result<ChangeNumber, StoreError> {
        let late = || (key.into(), Write::Set(value.clone()));
        self.plain(late, || self.below.set(key, value.clone()))
    }

    fn delete(&self, key: &str) -> Result<ChangeNumber, StoreError> {
        let late = || (key.into(), Write::Delete);
        self.plain(late, || self.below.delete(key))
    }

    fn increment(&self, key: &str, delta: i64) -> Result<(i64, ChangeNumber), StoreError> {
        let late = || (key.into(), Write::Increment(delta));
        self.plain(late, || self.below.increment(key, delta))
    }

    fn swap(&self, key: &str, seen: &Seen, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let late = || {
            let write = Write::Swap(Some(seen.clone()), value.clone());
            (key.into(), write)
        };
        let act = || self.below.swap(key, seen, value.clone());
        self.write(Call::Swap, late, act, || SwapError::Conflict)
    }

    fn swap_unseen(&self, key: &str, value: Bytes) -> Result<ChangeNumber, SwapError> {
        let late = || (key.into(), Write::Swap(None, value.clone()));
        let act = || self.below.swap_unseen(key, value.clone());
        self.write(Call::Swap, late, act, || SwapError::Conflict)
    }

    pass_on!(below);
}

#[cfg(test)]
mod tests;
