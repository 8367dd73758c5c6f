//! Claims about threads that race.

use super::{Store, SwapError, bytes, get, increment, see};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: u64 = 8;

const ROUNDS: u64 = 500;

fn race(work: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

/// Swaps alone make a correct counter.
pub(super) fn racing_swaps_lose_no_increment(store: &dyn Store) {
    let key = "contract.race.swap";
    race(|_| {
        for _ in 0..ROUNDS {
            loop {
                let seen = see(store, key);
                let text = seen.value.clone().unwrap_or_else(|| bytes("0"));
                let text = std::str::from_utf8(&text).expect("digits");
                let next = text.parse::<u64>().expect("digits").saturating_add(1);
                match store.swap(key, &seen, next.to_string().into()) {
                    Ok(_) => break,
                    Err(SwapError::Conflict) => {}
                    Err(SwapError::Store(error)) => panic!("{error}"),
                }
            }
        }
    });
    let total = (THREADS * ROUNDS).to_string();
    assert_eq!(get(store, key), Some(Bytes::from(total)));
}

/// The key holds the value of the winning creator.
pub(super) fn racing_creators_elect_one(store: &dyn Store) {
    for round in 0..50 {
        let key = format!("contract.race.create.{round}");
        let winner = AtomicU64::new(THREADS);
        race(|thread| {
            let seen = see(store, &key);
            let mine = Bytes::from(thread.to_string());
            if seen.value.is_none() && store.swap(&key, &seen, mine).is_ok() {
                let before = winner.swap(thread, Ordering::SeqCst);
                assert_eq!(before, THREADS, "two creators of {key}");
            }
        });
        let winner = winner.into_inner();
        // A swap of an absent key may fail without a reason, so there may be no winner.
        let expected = (winner < THREADS).then(|| Bytes::from(winner.to_string()));
        assert_eq!(get(store, &key), expected);
    }
}

/// Each caller gets a different sum.
pub(super) fn racing_increments_are_all_counted(store: &dyn Store) {
    let key = "contract.race.increment";
    let sum = AtomicU64::new(0);
    race(|_| {
        for _ in 0..ROUNDS {
            let count = increment(store, key, 1);
            sum.fetch_add(count.unsigned_abs(), Ordering::SeqCst);
        }
    });
    let last = THREADS * ROUNDS;
    assert_eq!(increment(store, key, 0), last as i64);
    assert_eq!(sum.into_inner(), last * (last + 1) / 2);
}

/// The loop of live reads: note, read, register, check, wait. After a lost wake-up the waiter would
/// hang. With a number that is too low it would miss the last value.
pub(super) fn a_waiter_sees_every_value_of_a_racing_writer(store: &dyn Store) {
    let key = "contract.race.wait";
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            loop {
                let noted = store.latest_change();
                let value = get(store, key).unwrap_or_default();
                if value == ROUNDS.to_string() {
                    break;
                }
                let watch = store.watch(key);
                if store.last_change(key) <= noted {
                    futures::executor::block_on(watch);
                }
            }
        });
        for number in 0..=ROUNDS {
            let value = Bytes::from(number.to_string());
            store.set(key, value).expect("the store writes");
            if number % 16 == 0 {
                std::thread::yield_now();
            }
        }
        waiter.join().expect("the waiter saw the last value");
    });
}
