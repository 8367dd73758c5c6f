//! A store that fails now and then: `--inject faults:SEED`.

mod luck;

use super::{ChangeNumber, Seen, Store, StoreError, SwapError, pass_on};
use bytes::Bytes;
use luck::{Call, Fault, INJECTED, Luck, Rates};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an operation takes that times out.
const TIME_OUT: Duration = Duration::from_millis(5);

/// Does what network stores do to another store: errors before and after the effect, effects that
/// come after the error, conflicts for no reason and conflicts of what was applied, time-outs, and
/// no room. What it does follows from the seed and the order of the operations.
///
/// A value that is read is always the latest, and a swap that arrives late is as conditional as
/// ever: nothing here breaks what a store promises.
pub struct FaultyStore {
    below: Arc<dyn Store>,
    seed: u64,
    state: Mutex<State>,
}

struct State {
    luck: Luck,
    late: Vec<Late>,
}

/// A write that was answered with an error and is still under way.
struct Late {
    /// Lands this many operations from now.
    after: u64,
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
    /// Arrives. Nobody is there to hear what became of it.
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

impl FaultyStore {
    /// Keeps everything in `below`, if not always when it is told to.
    #[must_use]
    pub const fn new(below: Arc<dyn Store>, seed: u64) -> Self {
        Self::with_rates(below, seed, INJECTED)
    }

    const fn with_rates(below: Arc<dyn Store>, seed: u64, rates: Rates) -> Self {
        let luck = Luck::new(seed, rates);
        let late = Vec::new();
        let state = Mutex::new(State { luck, late });
        Self { below, seed, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every write that is under way arrive.
    pub fn land(&self) {
        let late = std::mem::take(&mut self.state().late);
        late.into_iter().for_each(|late| late.land(&*self.below));
    }

    /// Begins an operation: what is due arrives before it.
    fn draw(&self, call: Call) -> Fault {
        let mut state = self.state();
        for late in &mut state.late {
            late.after = late.after.saturating_sub(1);
        }
        // The lock is held, or another operation could come between what arrives at once.
        let due = state.late.extract_if(.., |late| late.after == 0);
        due.for_each(|late| late.land(&*self.below));
        state.luck.draw(call)
    }

    fn reading<T>(&self, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        match self.draw(Call::Read) {
            Fault::Before => Err(unavailable("not asked")),
            Fault::TimeOut { .. } => {
                std::thread::sleep(TIME_OUT);
                Err(unavailable("timed out"))
            }
            _ => act(),
        }
    }

    fn write<T, E: From<StoreError>>(
        &self,
        call: Call,
        late: impl FnOnce() -> (Box<str>, Write),
        act: impl FnOnce() -> Result<T, E>,
        conflict: impl FnOnce() -> E,
    ) -> Result<T, E> {
        let lost = |why| Err(E::from(unavailable(why)));
        match self.draw(call) {
            Fault::None => act(),
            Fault::Before => lost("not sent"),
            Fault::After => act().and_then(|_| lost("no answer")),
            Fault::Late { after } => {
                let (key, write) = late();
                self.state().late.push(Late { after, key, write });
                lost("no answer yet")
            }
            Fault::TimeOut { applied } => {
                std::thread::sleep(TIME_OUT);
                match applied {
                    true => act().and_then(|_| lost("timed out")),
                    false => lost("timed out"),
                }
            }
            Fault::Full => Err(E::from(StoreError::Full("injected".to_owned()))),
            Fault::Conflict { applied: false } => Err(conflict()),
            Fault::Conflict { applied: true } => act().and_then(|_| Err(conflict())),
        }
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
