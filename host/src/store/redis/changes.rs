//! Changes of all hosts, as far as this host knows them.
//!
//! Redis assigns the change numbers. They arrive here with the answers to this host's own writes
//! and in messages, so this host's knowledge lags behind. No wake-up is lost nevertheless:
//!
//! - A reader notes [`latest`](Changes::latest), a number that Redis has assigned, and only then
//!   reads the key from Redis. So it sees all changes up to that number, and each change that it
//!   does not see gets a higher one.
//! - The message of such a change arrives before or after the reader registers its watch. If
//!   before, the reader finds the number in [`last_change`](Changes::last_change), which it reads
//!   next. If after, the message wakes the watch.
//! - While messages may have been missed, Redis may have assigned further numbers. This host reads
//!   the latest number once messages arrive again. Every key then counts as changed up to that
//!   number ([`count_all`](Changes::count_all)). A Redis that is behind this host's knowledge
//!   returns a number above it.
//!
//! A number that arrives late costs a needless read.

use crate::store::{ChangeNumber, Watch, Watchers};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of keys in one generation. The table keeps two, which take some megabytes.
const GENERATION: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Changes {
    /// The highest number known to be assigned.
    latest: AtomicU64,
    table: Mutex<Table>,
    watchers: Watchers,
}

/// Last change numbers of recently changed keys.
#[derive(Default)]
struct Table {
    young: HashMap<Box<str>, u64>,
    old: HashMap<Box<str>, u64>,
    /// Number that stands for all other keys.
    floor: u64,
}

impl Table {
    fn own(&self, key: &str) -> Option<u64> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn insert(&mut self, key: &str, number: u64) {
        if let Some(known) = self.young.get_mut(key) {
            *known = number;
            return;
        }
        if self.young.len() >= GENERATION {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let highest = forgotten.into_values().max().unwrap_or_default();
            // No waiter has to be woken, since these keys did not change.
            self.floor = self.floor.max(highest);
        }
        self.young.insert(key.into(), number);
    }
}

impl Changes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn latest(&self) -> ChangeNumber {
        ChangeNumber::new(self.latest.load(Ordering::SeqCst))
    }

    pub(super) fn last_change(&self, key: &str) -> ChangeNumber {
        let table = self.table();
        ChangeNumber::new(table.own(key).unwrap_or_default().max(table.floor))
    }

    pub(super) fn watch(&self, key: &str) -> Watch {
        self.watchers.watch(key)
    }

    /// Notes a change of a key. The answer to an own write and its message report the same change,
    /// in either order.
    pub(super) fn note(&self, key: &str, number: u64) {
        // Raise `latest` first. A reader that noted a number below the table's would read
        // needlessly.
        self.latest.fetch_max(number, Ordering::SeqCst);
        let mut table = self.table();
        // Only the key's own entry shows that its watches were notified. The floor may be above a
        // message that is still to come.
        if table.own(key).is_some_and(|known| known >= number) {
            return;
        }
        table.insert(key, number);
        drop(table);
        self.watchers.notify(key);
    }

    /// Notes that any key may have changed up to this number, which Redis has assigned.
    pub(super) fn count_all(&self, number: u64) {
        self.latest.fetch_max(number, Ordering::SeqCst);
        let mut table = self.table();
        if number <= table.floor {
            return;
        }
        table.floor = number;
        table.young.retain(|_, own| *own > number);
        table.old.retain(|_, own| *own > number);
        drop(table);
        self.watchers.notify_all();
    }

    /// Number of keys with an entry of their own.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        let table = self.table();
        table.young.len() + table.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const fn number(number: u64) -> ChangeNumber {
        ChangeNumber::new(number)
    }

    #[test]
    fn a_message_that_repeats_an_answer_wakes_no_reader() {
        let changes = Changes::default();
        changes.note("k", 7);
        let mut watch = changes.watch("k");
        changes.note("k", 7);
        changes.note("k", 6);
        assert_eq!((&mut watch).now_or_never(), None);
        assert_eq!(changes.last_change("k"), number(7));
        changes.note("k", 8);
        assert_eq!(watch.now_or_never(), Some(()));
    }

    #[test]
    fn a_late_message_wakes_waiting_readers_though_the_floor_is_above_it() {
        let changes = Changes::default();
        // The answers to own writes overtake the messages of other hosts.
        for own in 0..3 * GENERATION as u64 {
            changes.note(&format!("own.{own}"), 1000 + own);
        }
        assert!(changes.last_change("k") > number(900));
        let watch = changes.watch("k");
        changes.note("k", 900);
        assert_eq!(watch.now_or_never(), Some(()));
    }

    #[test]
    fn remembered_keys_are_bounded_and_forgotten_ones_count_as_changed() {
        let changes = Changes::default();
        for change in 1..=5 * GENERATION as u64 {
            changes.note(&format!("k.{change}"), change);
            assert!(changes.last_change(&format!("k.{change}")) >= number(change));
        }
        assert!(changes.remembered() <= 2 * GENERATION);
        assert!(changes.last_change("k.1") >= number(1));
        assert!(changes.last_change("k.1") <= changes.latest());
    }

    #[test]
    fn after_a_gap_every_key_counts_as_changed_once() {
        let changes = Changes::default();
        changes.note("k", 5);
        let watch = changes.watch("other");
        changes.count_all(9);
        assert_eq!(watch.now_or_never(), Some(()));
        assert_eq!(changes.last_change("k"), number(9));
        assert_eq!(changes.latest(), number(9));
        assert_eq!(changes.remembered(), 0);
        let watch = changes.watch("other");
        changes.count_all(9);
        assert_eq!(watch.now_or_never(), None);
    }
}
