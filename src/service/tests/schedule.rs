//! A deterministic scheduler: exchanges run on threads of their own, but only one at a time. After
//! each operation on the store, the world's seed decides which thread goes on.

use super::world::World;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The right to run; one of several threads has it.
pub(super) struct Baton {
    world: Arc<World>,
    turns: Mutex<Turns>,
    wakers: Vec<Condvar>,
}

#[derive(Debug, Default)]
struct Turns {
    /// Lookup of the thread that has the baton.
    current: Option<usize>,
    /// Places of the threads that could go on.
    ready: Vec<usize>,
    /// Sleeping threads: time of waking, and place.
    asleep: Vec<(u64, usize)>,
    /// Number of threads that have not arrived yet.
    missing: usize,
    /// Whether the thread that used the store last is likely to use it again before the others.
    is_unfair: bool,
    /// Lookup of the last thread that had the baton.
    last: Option<usize>,
}

impl Baton {
    /// Runs `act` for each place from 0 to `count`, taking turns; returns all results.
    pub(super) fn run<T: Send>(
        world: &Arc<World>,
        count: usize,
        act: impl Fn(Arc<Self>, usize) -> T + Sync,
    ) -> Vec<T> {
        Self::run_by(world, count, false, act)
    }

    /// Like `run`, but the threads wait for one unfair lock, as for Spin's connection to SQLite. A
    /// thread that releases the lock often gets it again before the waiting threads.
    pub(super) fn run_unfairly<T: Send>(
        world: &Arc<World>,
        count: usize,
        act: impl Fn(Arc<Self>, usize) -> T + Sync,
    ) -> Vec<T> {
        Self::run_by(world, count, true, act)
    }

    fn run_by<T: Send>(
        world: &Arc<World>,
        count: usize,
        is_unfair: bool,
        act: impl Fn(Arc<Self>, usize) -> T + Sync,
    ) -> Vec<T> {
        let baton = Arc::new(Self {
            world: world.clone(),
            turns: Mutex::new(Turns {
                missing: count,
                is_unfair,
                ..Turns::default()
            }),
            wakers: (0..count).map(|_| Condvar::new()).collect(),
        });
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .map(|place| {
                    let (baton, act) = (baton.clone(), &act);
                    scope.spawn(move || {
                        let _leaves = Leaves(baton.clone());
                        baton.come(place);
                        act(baton, place)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap()
    }

    fn come(&self, place: usize) {
        let mut turns = self.turns();
        turns.missing -= 1;
        turns.ready.push(place);
        // Sorted, so that the draw does not depend on the order of arrival.
        turns.ready.sort_unstable();
        if turns.missing == 0 {
            self.next(&mut turns);
        }
        self.wait(turns, place);
    }

    /// Lets any thread go on, possibly the caller.
    pub(super) fn pass(&self, place: usize) {
        let mut turns = self.turns();
        turns.ready.push(place);
        self.next(&mut turns);
        self.wait(turns, place);
    }

    /// Waits in virtual time.
    pub(super) fn sleep(&self, place: usize, ms: u64) {
        let mut turns = self.turns();
        let until = self.world.now_ms() + ms;
        turns.asleep.push((until, place));
        self.next(&mut turns);
        self.wait(turns, place);
    }

    fn next(&self, turns: &mut Turns) {
        let now = self.world.now_ms();
        let earliest = turns.asleep.iter().map(|sleeper| sleeper.0).min();
        if let (true, Some(earliest)) = (turns.ready.is_empty(), earliest) {
            self.world.advance_to(earliest);
        }
        let now = now.max(self.world.now_ms());
        let (due, asleep): (Vec<_>, Vec<_>) =
            turns.asleep.iter().partition(|sleeper| sleeper.0 <= now);
        turns.asleep = asleep;
        turns.ready.extend(due.into_iter().map(|sleeper| sleeper.1));
        turns.current = match turns.ready.len() {
            0 => None,
            ready => {
                let last = turns
                    .ready
                    .iter()
                    .position(|place| Some(*place) == turns.last);
                if let (true, Some(last)) = (turns.is_unfair, last)
                    && self.world.random() % 8 < 3
                {
                    turns.current = Some(turns.ready.swap_remove(last));
                    self.wake(turns);
                    return;
                }
                let drawn = self.world.random() % ready as u64;
                Some(turns.ready.swap_remove(usize::try_from(drawn).unwrap()))
            }
        };
        self.wake(turns);
    }

    fn wake(&self, turns: &mut Turns) {
        turns.last = turns.current;
        if let Some(current) = turns.current {
            self.wakers[current].notify_one();
        }
    }

    fn wait(&self, mut turns: MutexGuard<'_, Turns>, place: usize) {
        while turns.current != Some(place) {
            turns = self.wakers[place].wait(turns).unwrap();
        }
    }
}

/// Passes the baton on when a thread ends, also by a panic.
struct Leaves(Arc<Baton>);

impl Drop for Leaves {
    fn drop(&mut self) {
        if let Ok(mut turns) = self.0.turns.lock() {
            self.0.next(&mut turns);
        }
    }
}
