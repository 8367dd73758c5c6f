//! A deterministic scheduler: exchanges run on threads of their own, but only one at a time. After
//! each operation on the store, the world's seed decides which thread goes on.

use super::world::World;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The right to run; one of several threads has it.
pub(super) struct Baton {
    world: Arc<World>,
    schedule: Mutex<Schedule>,
    wakers: Vec<Condvar>,
}

#[derive(Debug, Default)]
struct Schedule {
    /// Place of the thread that has the baton.
    current: Option<usize>,
    /// Places of the threads that could go on.
    ready: Vec<usize>,
    /// Sleeping threads: time of waking, and place.
    asleep: Vec<(u64, usize)>,
    /// Number of threads that have not arrived yet.
    missing: usize,
    /// Whether the thread that used the store last is likely to use it again before the others.
    is_unfair: bool,
    /// Place of the last thread that had the baton.
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
            schedule: Mutex::new(Schedule {
                missing: count,
                is_unfair,
                ..Schedule::default()
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

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap()
    }

    fn come(&self, place: usize) {
        let mut schedule = self.lock();
        schedule.missing -= 1;
        schedule.ready.push(place);
        // Sorted, so that the draw does not depend on the order of arrival.
        schedule.ready.sort_unstable();
        if schedule.missing == 0 {
            self.next(&mut schedule);
        }
        self.wait(schedule, place);
    }

    /// Lets any thread go on, possibly the caller.
    pub(super) fn pass(&self, place: usize) {
        let mut schedule = self.lock();
        schedule.ready.push(place);
        self.next(&mut schedule);
        self.wait(schedule, place);
    }

    /// Waits in virtual time.
    pub(super) fn sleep(&self, place: usize, ms: u64) {
        let mut schedule = self.lock();
        let until = self.world.now_ms() + ms;
        schedule.asleep.push((until, place));
        self.next(&mut schedule);
        self.wait(schedule, place);
    }

    fn next(&self, schedule: &mut Schedule) {
        let now = self.world.now_ms();
        let earliest = schedule.asleep.iter().map(|sleeper| sleeper.0).min();
        if let (true, Some(earliest)) = (schedule.ready.is_empty(), earliest) {
            self.world.advance_to(earliest);
        }
        let now = now.max(self.world.now_ms());
        let (due, asleep): (Vec<_>, Vec<_>) =
            schedule.asleep.iter().partition(|sleeper| sleeper.0 <= now);
        schedule.asleep = asleep;
        schedule
            .ready
            .extend(due.into_iter().map(|sleeper| sleeper.1));
        schedule.current = match schedule.ready.len() {
            0 => None,
            ready => {
                let last = schedule
                    .ready
                    .iter()
                    .position(|place| Some(*place) == schedule.last);
                if let (true, Some(last)) = (schedule.is_unfair, last)
                    && self.world.random() % 8 < 3
                {
                    schedule.current = Some(schedule.ready.swap_remove(last));
                    self.wake(schedule);
                    return;
                }
                let drawn = self.world.random() % ready as u64;
                Some(schedule.ready.swap_remove(usize::try_from(drawn).unwrap()))
            }
        };
        self.wake(schedule);
    }

    fn wake(&self, schedule: &mut Schedule) {
        schedule.last = schedule.current;
        if let Some(current) = schedule.current {
            self.wakers[current].notify_one();
        }
    }

    fn wait(&self, mut schedule: MutexGuard<'_, Schedule>, place: usize) {
        while schedule.current != Some(place) {
            schedule = self.wakers[place].wait(schedule).unwrap();
        }
    }
}

/// Passes the baton on when a thread ends, also by a panic.
struct Leaves(Arc<Baton>);

impl Drop for Leaves {
    fn drop(&mut self) {
        if let Ok(mut schedule) = self.0.schedule.lock() {
            self.0.next(&mut schedule);
        }
    }
}
