//! Work behind requests: removing what ended lives left, and ending lives that expired unseen.
//!
//! Each call looks for something to do, in at most `ENTRIES` entries of each to-do shard, and does one
//! step of it, at most about `limits::WORK_OPERATIONS` store operations. Only what wakes a subscription
//! takes more: it reads the heads of its streams, which `limits::SUBSCRIPTION_LINKS` bounds, to find
//! one that is pending, and for a webhook once more to tell of all; and it tells those who are linked
//! to its wake stream, `limits::WAKES` at most, which may wake each of them. Everything here is
//! idempotent, so any number of workers may do the same entry.

use super::core::{Core, Fault};
use super::env::Env;
use super::fork::{Life, link};
use super::update::{SharedCreation, Updated};
use crate::keys::debt::{self, Debt};
use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::keys::{NameHash, Slot, index};
use crate::keys::{registry, subscriptions};
use crate::limits::{SHARDS, WORK_OPERATIONS};
use crate::stream::{Incarnation, Link, Owed};

/// Age after which an entry that was noted for a life that goes on, or a name that was entered for
/// a life that never began, is taken for left over. Far above every deadline of a request.
pub(super) const LEFT_OVER_MS: u64 = 600_000;

/// Entries of a shard that are looked at, if there is nothing to do for the first ones.
const ENTRIES: usize = 4;

/// Names looked at in one call.
const NAMES: usize = 3;

/// Times in one call that the store may fail before the rest is left to another one: it may take
/// its time to fail.
const FAILURES: u32 = 1;

/// What could not be done in one call, and was left.
#[derive(Default)]
struct Left {
    failures: u32,
}

impl<E: Env> Core<'_, E> {
    /// Whether something was done. A fault is told, and does not keep the rest from being done: one
    /// record that can't be read would end the work on all others.
    fn leave(&self, left: &mut Left, worked: Result<bool, Fault>) -> Result<bool, Fault> {
        let Err(fault) = worked else {
            return worked;
        };
        if !matches!(fault, Fault::Corrupt { .. } | Fault::Missing { .. }) {
            if left.failures >= FAILURES {
                return Err(fault);
            }
            left.failures = left.failures.saturating_add(1);
        }
        self.note_fault(&fault);
        Ok(false)
    }

    /// One piece of work: an entry of the first to-do shard that has something to do, or else a
    /// look at a leaf of the name registry and at a subscription. `round` picks where to begin, and
    /// what to look at. Says whether there was something to do.
    pub(super) fn work(&self, round: u64) -> Result<bool, Fault> {
        let shards = u64::from(SHARDS);
        let shard = |round: u64| {
            let shard = round.checked_rem(shards);
            shard.and_then(|shard| u8::try_from(shard).ok())
        };
        let mut left = Left::default();
        for next in 0..shards {
            let shard = shard(round.wrapping_add(next)).unwrap_or_default();
            let worked = self.work_entries(shard, &mut left);
            if self.leave(&mut left, worked)? {
                return Ok(true);
            }
        }
        if self.config.registry {
            let shard = shard(round).unwrap_or_default();
            let worked = self.work_names(shard, round / shards, &mut left);
            if self.leave(&mut left, worked)? {
                return Ok(true);
            }
        }
        self.walk_subscriptions(round)
    }

    /// One step of one entry of a to-do shard.
    pub(super) fn work_todo(&self, shard: u8) -> Result<bool, Fault> {
        self.work_entries(shard, &mut Left::default())
    }

    fn work_entries(&self, shard: u8, left: &mut Left) -> Result<bool, Fault> {
        let entries = self.todo(shard)?;
        // Workers that come at the same time take different entries.
        let any = self.any_of(entries.len());
        let (before, from) = entries.split_at_checked(any).unwrap_or_default();
        for entry in from.iter().chain(before).take(ENTRIES) {
            let worked = match entry {
                Entry::Collect { .. } => self.collect(shard, entry),
                Entry::Join { .. } => self.work_join(shard, entry),
                Entry::Wake { .. } => self.work_wake(shard, entry),
            };
            if self.leave(left, worked)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn collect(&self, shard: u8, entry: &Entry) -> Result<bool, Fault> {
        let Entry::Collect {
            hash,
            incarnation,
            leaf,
            source,
            since_ms,
        } = entry
        else {
            return Ok(false);
        };
        let incarnation = *incarnation;
        let this = link(hash, incarnation);
        let mut shared = self.drawn_patience();
        match self.record(&self.keys.head(hash))? {
            Some(Record::Live(head)) if head.incarnation == incarnation => {
                // Its deletion is about to swap, or never will.
                if since_ms.saturating_add(LEFT_OVER_MS) < self.env.now_ms() {
                    self.leave_life(shard, entry, this, &mut shared)?;
                }
                return Ok(false);
            }
            Some(Record::Tombstone(tombstone)) if tombstone.incarnation == incarnation => {
                if let Some(source) = tombstone.source {
                    let released = self.cascade(this, source, &mut shared)?;
                    return Ok(released == Updated::Done(()));
                }
                if let Some(owed) = &tombstone.owes {
                    if let Updated::Wait(_) =
                        self.move_debt(hash, incarnation, owed, &mut shared)?
                    {
                        return Ok(false);
                    }
                    self.settle_tombstone(this, |tombstone| tombstone.owes.take().is_some())?;
                    return Ok(true);
                }
            }
            _ => {}
        }
        if self.pay(hash, incarnation, &mut shared)? {
            return Ok(true);
        }
        if let Some(leaf) = *leaf {
            self.remove_name(hash, leaf, incarnation, &mut shared)?;
        }
        if let Some(source) = *source
            && let Updated::Wait(_) = self.forget(this, source, &mut shared)?
        {
            return Ok(false);
        }
        self.remove_todo(shard, entry, &mut shared)?;
        // A slower worker may have written the debt again before it could see that: one of the two
        // sees what the other did.
        if self.env.exists(&self.keys.debt(incarnation))? {
            self.note_work(hash, incarnation, None, &mut shared)?;
        }
        Ok(true)
    }

    /// Removes the entry of a life whose deletion stopped before its swap. By its deleter's clock the
    /// entry may be young. So the head gets another version before that, for which a swap that is
    /// under way comes too late, and after that, since a swap is sent only with an entry.
    fn leave_life(
        &self,
        shard: u8,
        entry: &Entry,
        life: Link,
        shared: &mut SharedCreation,
    ) -> Result<(), Fault> {
        if !self.outrun_deletion(life)? {
            return Ok(());
        }
        self.remove_todo(shard, entry, shared)?;
        if !matches!(self.outrun_deletion(life), Ok(true)) {
            // It was deleted after all, or is changed by others: who comes next looks again.
            self.add_todo(shard, entry, shared)?;
        }
        Ok(())
    }

    /// Sees to it that a deletion of this life that is under way comes too late. False if it may have
    /// come already.
    fn outrun_deletion(&self, life: Link) -> Result<bool, Fault> {
        match self.life(life)? {
            Life::Head(cas, head) => self.put(cas, head),
            Life::Tombstone(..) => Ok(false),
            Life::None => Ok(true),
        }
    }

    pub(super) fn record(&self, slot: &Slot) -> Result<Option<Record>, Fault> {
        let Some((gate, envelope)) = self.read(slot)? else {
            return Ok(None);
        };
        Self::decode(slot, gate, &envelope).map(Some)
    }

    /// Writes what a tombstone owes into a debt record of its own, so that the tombstone may be
    /// replaced. It is always the same, so all who do it write the same.
    pub(super) fn move_debt(
        &self,
        hash: &NameHash,
        incarnation: Incarnation,
        owed: &Owed,
        shared: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        if let Updated::Wait(ms) = self.note_work(hash, incarnation, None, shared)? {
            return Ok(Updated::Wait(ms));
        }
        let key = self.keys.debt(incarnation);
        if self.env.exists(&key)? {
            return Ok(Updated::Done(()));
        }
        let debt = Debt {
            owed: owed.clone(),
            in_block: false,
        };
        self.env.set(&key, &debt::encode(&debt))?;
        self.note_work(hash, incarnation, None, shared)
    }

    /// Sees to it that a debt which is there, or will be, has its to-do entry; also one to a
    /// source.
    pub(super) fn note_work(
        &self,
        hash: &NameHash,
        incarnation: Incarnation,
        source: Option<Link>,
        shared: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        let since_ms = self.env.now_ms();
        let entry = Entry::Collect {
            hash: *hash,
            incarnation,
            leaf: None,
            source,
            since_ms,
        };
        let known = self.todo(hash.shard())?;
        let knows = |known: &Entry| entry.is_same_work(known) && entry.adds_nothing_to(known);
        if known.iter().any(knows) {
            return Ok(Updated::Done(()));
        }
        self.add_todo(hash.shard(), &entry, shared)
    }

    /// Removes some of what a life owes. False when nothing is left.
    fn pay(
        &self,
        hash: &NameHash,
        incarnation: Incarnation,
        shared: &mut SharedCreation,
    ) -> Result<bool, Fault> {
        let key = self.keys.debt(incarnation);
        let Some(bytes) = self.env.get(&key)? else {
            return Ok(false);
        };
        let mut debt = debt::decode(&bytes).map_err(|_| Fault::Corrupt { key: key.clone() })?;
        let mut left = WORK_OPERATIONS.saturating_sub(8);
        while left > 0 {
            if let Some(id) = debt.owed.chunks.pop() {
                self.env.delete(&self.keys.chunk(incarnation, id))?;
                left = left.saturating_sub(1);
                continue;
            }
            if debt.owed.first_block >= debt.owed.end_block {
                self.env.delete(&key)?;
                return Ok(true);
            }
            let block = self.keys.block(incarnation, debt.owed.first_block);
            left = left.saturating_sub(1);
            if debt.in_block {
                self.env.delete(&block)?;
                debt.in_block = false;
                debt.owed.first_block = debt.owed.first_block.saturating_add(1);
                continue;
            }
            debt.in_block = true;
            if let Some(bytes) = self.env.get(&block)? {
                let block = index::decode(&bytes, debt.owed.first_block)
                    .map_err(|_| Fault::Corrupt { key: block })?;
                debt.owed.chunks = block.own_chunks().collect();
            }
            // The chunks of this block are noted before the first of them is removed, so that the
            // next step need not find out which are left.
            break;
        }
        self.env.set(&key, &debt::encode(&debt))?;
        // If another worker ended the work meanwhile, this wrote a debt that is paid already.
        self.note_work(hash, incarnation, None, shared)?;
        Ok(true)
    }

    /// Looks at some names of a leaf: ends lives that expired, removes names that were left over.
    fn work_names(&self, shard: u8, turn: u64, left: &mut Left) -> Result<bool, Fault> {
        let Some((slot, leaf)) = self.leaf_in_turn(shard, turn)? else {
            return Ok(false);
        };
        let listed = match leaf.entries.is_empty() {
            true => Vec::new(),
            false => self.subscriptions()?,
        };
        let now = self.env.now_ms();
        let (mut due, others): (Vec<_>, Vec<_>) = leaf
            .entries
            .iter()
            .partition(|entry| entry.due_ms.is_some_and(|due| due <= now));
        // Those that can't be ended now do not stand before the others for ever.
        let first = self.any_of(due.len());
        due.rotate_left(first);
        let mut worked = false;
        for entry in due.into_iter().take(NAMES) {
            let looked = self.look_at(&slot, entry, &listed);
            worked |= self.leave(left, looked)?;
        }
        if let Some(entry) = others.get(self.any_of(others.len())) {
            self.look_at(&slot, entry, &listed)?;
        }
        Ok(worked)
    }

    /// One of so many places, by chance; the first, if there is none.
    fn any_of(&self, places: usize) -> usize {
        let any = self.jitter(places.saturating_sub(1) as u64);
        usize::try_from(any).unwrap_or_default()
    }

    /// Compares one name of a leaf with its head, and the head with the subscriptions there are.
    /// Says whether something of the name was to be ended or set right.
    fn look_at(
        &self,
        leaf: &Slot,
        entry: &registry::Entry,
        listed: &[subscriptions::Entry],
    ) -> Result<bool, Fault> {
        let mut shared = self.drawn_patience();
        let hash = NameHash::of(&entry.name);
        let now = self.env.now_ms();
        let slot = self.keys.head(&hash);
        if let Some((cas, record)) = self.find_record(&slot)? {
            match record {
                Record::Live(head) if head.incarnation == entry.incarnation => {
                    let now = head.now_ms(now);
                    let pending = head.lineage.as_ref().filter(|lineage| lineage.pending);
                    if let Some(lineage) = pending {
                        // Normally its work is noted; else its creator was far too slow.
                        let left_over = entry.since_ms.saturating_add(LEFT_OVER_MS) < now;
                        if left_over {
                            drop(cas);
                            let fork = link(&hash, head.incarnation);
                            self.advance(fork, lineage.source, &mut shared)?;
                        }
                        return Ok(left_over);
                    }
                    if head.is_expired(now) && !head.forks.deleted {
                        self.end_life(&hash, cas, &head, now, &mut shared)?;
                    } else if entry.due_ms.is_some_and(|due| due <= now) {
                        // What only its forks keep alive has ended already.
                        let due = head.expires_ms().filter(|_| !head.forks.deleted);
                        self.edit_leaf(leaf, &mut shared, |entries| {
                            for other in entries.iter_mut() {
                                if other.incarnation == entry.incarnation {
                                    other.due_ms = due;
                                }
                            }
                        })?;
                    } else {
                        drop(cas);
                        self.greet_again(listed, &hash, &head)?;
                        return Ok(false);
                    }
                    return Ok(true);
                }
                Record::Tombstone(tombstone) if tombstone.incarnation == entry.incarnation => {
                    // Normally its work is noted; else somebody was stopped right here.
                    if let Some(source) = tombstone.source {
                        let this = link(&hash, tombstone.incarnation);
                        self.release(this, source, &mut shared)?;
                        return Ok(true);
                    }
                    if let Some(owed) = &tombstone.owes {
                        self.move_debt(&hash, tombstone.incarnation, owed, &mut shared)?;
                        return Ok(true);
                    }
                }
                Record::Live(_) | Record::Tombstone(_) => {}
            }
        }
        let left_over = entry.since_ms.saturating_add(LEFT_OVER_MS) < now;
        if left_over {
            self.edit_leaf(leaf, &mut shared, |entries| {
                entries.retain(|other| other.incarnation != entry.incarnation);
            })?;
        }
        Ok(left_over)
    }
}
