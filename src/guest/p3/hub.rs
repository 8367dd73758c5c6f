//! The readers that wait in this instance, by the key that they wait for.
//!
//! A request's task must not be woken by another request's task: a Rust waker across tasks traps
//! ("Cannot support cross-component-model-task wakeup"). Only events from the host can wake a task.
//! So each waiter reads from a stream of its own, and a task with news writes one byte to that
//! stream.
//!
//! No host reports a change of a key by another instance. The waiter that has waited longest for a
//! key polls for all waiters of the key. When it leaves, the next one is notified to take over.

use futures::FutureExt as _;
use spin_sdk::wasip3::clocks::monotonic_clock;
use spin_sdk::wasip3::wit_bindgen::{StreamReader, StreamWriter};
use spin_sdk::wasip3::wit_stream;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

/// News for a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The key changed.
    Changed,
    /// This waiter has waited longest now, and must poll for the others.
    Poll,
}

struct Waiter {
    id: u64,
    news: StreamWriter<u8>,
}

struct Group {
    waiters: VecDeque<Waiter>,
    /// When the key last changed, as far as known, or when the group began; monotonic nanoseconds.
    changed_at: u64,
}

#[derive(Default)]
struct Hub {
    groups: BTreeMap<String, Group>,
    /// Keys that were swapped since the last wake.
    changed: Vec<String>,
    last_id: u64,
}

thread_local! {
    static HUB: RefCell<Hub> = RefCell::default();
}

/// Notes that `key` was swapped here.
pub(super) fn changed(key: &str) {
    HUB.with_borrow_mut(|hub| {
        if hub.groups.contains_key(key) {
            hub.changed.push(key.to_owned());
        }
    });
}

/// Drops the noted changes: the host knows of the changes and holds the waiters.
pub(super) fn forget_changes() {
    HUB.with_borrow_mut(|hub| hub.changed.clear());
}

/// Wakes the waiters of all keys that were swapped in this instance.
pub(super) fn wake_changed() {
    let keys = HUB.with_borrow_mut(|hub| std::mem::take(&mut hub.changed));
    for key in keys {
        wake(&key);
    }
}

/// Wakes all waiters of `key`.
pub(super) fn wake(key: &str) {
    let group = HUB.with_borrow_mut(|hub| hub.groups.remove(key));
    for mut waiter in group.into_iter().flat_map(|group| group.waiters) {
        send(&mut waiter.news, News::Changed);
    }
}

fn send(sender: &mut StreamWriter<u8>, news: News) {
    // The reader either exists or is gone. In neither case does the write wait.
    let _ = sender.write_all(vec![news as u8]).now_or_never();
}

/// A place among the waiters of a key. Dropping the place leaves the group.
pub(super) struct Membership {
    key: String,
    id: u64,
    news: StreamReader<u8>,
}

impl Membership {
    /// Joins the waiters of `key`.
    pub(super) fn join(key: &str) -> Self {
        let (sender, news) = wit_stream::new::<u8>();
        let id = HUB.with_borrow_mut(|hub| {
            hub.last_id = hub.last_id.wrapping_add(1);
            let id = hub.last_id;
            let group = hub.groups.entry(key.to_owned()).or_insert_with(|| Group {
                waiters: VecDeque::new(),
                changed_at: monotonic_clock::now(),
            });
            group.waiters.push_back(Waiter { id, news: sender });
            id
        });
        Self {
            key: key.to_owned(),
            id,
            news,
        }
    }

    /// How long the key has not changed, in milliseconds, if this waiter is the one that polls.
    pub(super) fn polls(&self) -> Option<u64> {
        HUB.with_borrow(|hub| {
            let group = hub.groups.get(&self.key)?;
            let first = group.waiters.front()?;
            (first.id == self.id)
                .then(|| monotonic_clock::now().saturating_sub(group.changed_at) / 1_000_000)
        })
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) -> News {
        match self.news.next().await {
            Some(byte) if byte == News::Poll as u8 => News::Poll,
            _ => News::Changed,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        HUB.with_borrow_mut(|hub| {
            let Some(group) = hub.groups.get_mut(&self.key) else {
                return;
            };
            let was_first = group
                .waiters
                .front()
                .is_some_and(|first| first.id == self.id);
            group.waiters.retain(|waiter| waiter.id != self.id);
            match group.waiters.front_mut() {
                Some(next) if was_first => send(&mut next.news, News::Poll),
                Some(_) => {}
                None => {
                    hub.groups.remove(&self.key);
                }
            }
        });
    }
}
