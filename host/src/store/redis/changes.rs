//! What this host knows of the changes of all hosts.
//!
//! The numbers are given by Redis, and come here with the answers to this host's own writes and in
//! messages, so what is known here lags behind. No wake-up is lost by that:
//!
//! - A reader notes [`latest`](Changes::latest), a number that Redis has given, and only then asks
//!   Redis for the key. So it reads all changes up to that number, and each that it does not read
//!   gets a higher one.
//! - The message of such a change is yet to come when the reader has registered its watch, or it
//!   came before. If before, [`last_change`](Changes::last_change), which the reader asks next, has
//!   its number; if after, the watch is woken.
//! - Numbers that were given while messages may have been missed are learned from Redis once they
//!   come again; then every key counts as changed up to that number ([`count_all`](Changes::count_all)).
//!   A Redis that is behind what is known here gives a number above it.
//!
//! Numbers that come late cost a needless look.

use crate::store::{ChangeNumber, Watch, Watchers};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keys of one generation, of which two are kept: some megabytes.
const GENERATION: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Changes {
    /// The highest number that is known to have been given.
    latest: AtomicU64,
    table: Mutex<Table>,
    watchers: Watchers,
}

/// The last changes of the keys that changed last.
#[derive(Default)]
struct Table {
    young: HashMap<Box<str>, u64>,
    old: HashMap<Box<str>, u64>,
    /// Stands for all other keys.
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
            // Nobody has to be woken: these keys did not change.
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

    /// A key changed. The answer to an own write and its message say the same, in either order.
    pub(super) fn note(&self, key: &str, number: u64) {
        // Never below a number that the table has, or who notes it would look for nothing.
        self.latest.fetch_max(number, Ordering::SeqCst);
        let mut table = self.table();
        // Only what the key's own entry says was told to its watches. The floor may have been
        // raised above a message that is still to come.
        if table.own(key).is_some_and(|known| known >= number) {
            return;
        }
        table.insert(key, number);
        drop(table);
        self.watchers.notify(key);
    }

    /// Any key may have had changes up to this number, which Redis has given.
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

    /// Keys that are remembered one by one.
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
    fn a_message_that_repeats_an_answer_wakes_nobody() {
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
    fn a_late_message_wakes_who_waits_though_the_floor_is_above_it() {
        let changes = Changes::default();
        // Own writes, whose answers overtake the messages of other hosts.
        for own in 0..3 * GENERATION as u64 {
            changes.note(&format!("own.{own}"), 1000 + own);
        }
        assert!(changes.last_change("k") > number(900));
        let watch = changes.watch("k");
        changes.note("k", 900);
        assert_eq!(watch.now_or_never(), Some(()));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_forgotten_counts_as_changed() {
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
