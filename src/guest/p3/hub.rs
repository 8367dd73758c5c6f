//! Who waits in this instance, and for which key.
//!
//! A request's task must not be woken by another's: a Rust waker across tasks traps ("Cannot
//! support cross-component-model-task wakeup"), and only what comes through the host wakes. So each
//! waiter reads from a stream of its own, and whoever has news writes one byte to it.
//!
//! No host tells when another instance changed a key. The waiter of a key that waits longest looks
//! for all; when it leaves, the next one is told to.

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
    /// You wait longest now: look for the others.
    Look,
}

struct Waiter {
    id: u64,
    news: StreamWriter<u8>,
}

struct Group {
    waiters: VecDeque<Waiter>,
    /// When the key was last known to change, or was first waited for; monotonic nanoseconds.
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

/// Drops the notes: the host knows of the changes and has the waiters.
pub(super) fn forget_changes() {
    HUB.with_borrow_mut(|hub| hub.changed.clear());
}

/// Wakes those who wait for what was swapped here.
pub(super) fn wake_changed() {
    let keys = HUB.with_borrow_mut(|hub| std::mem::take(&mut hub.changed));
    for key in keys {
        wake(&key);
    }
}

/// Wakes all who wait for `key`.
pub(super) fn wake(key: &str) {
    let group = HUB.with_borrow_mut(|hub| hub.groups.remove(key));
    for mut waiter in group.into_iter().flat_map(|group| group.waiters) {
        tell(&mut waiter.news, News::Changed);
    }
}

fn tell(news: &mut StreamWriter<u8>, what: News) {
    // The reader is there, or gone; it never makes this write wait.
    let _ = news.write_all(vec![what as u8]).now_or_never();
}

/// A place among those who wait for a key. Dropping it leaves.
pub(super) struct Place {
    key: String,
    id: u64,
    news: StreamReader<u8>,
}

impl Place {
    /// Joins those who wait for `key`.
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

    /// Whether this is the one that looks, and if so for how long nothing changed.
    pub(super) fn looks(&self) -> Option<u64> {
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
            Some(byte) if byte == News::Look as u8 => News::Look,
            _ => News::Changed,
        }
    }
}

impl Drop for Place {
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
                Some(next) if was_first => tell(&mut next.news, News::Look),
                Some(_) => {}
                None => {
                    hub.groups.remove(&self.key);
                }
            }
        });
    }
}
