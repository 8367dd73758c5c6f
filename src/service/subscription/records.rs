//! Records of subscriptions, read and changed.

use super::doubt::Doubt;
use crate::keys::subscription::Stored;
use crate::keys::{Envelope, NameHash, Slot};
use crate::limits::SUBSCRIPTIONS_BYTES;
use crate::service::core::{Core, Fault, Place};
use crate::service::env::{Env, SwapError};
use crate::service::update::{Edit, SharedCreation, Updated};
use crate::subscription::Subscription;

use crate::keys::subscriptions::{Entry, decode, encode};

/// Swaps tried in one step.
const TRIES: usize = 6;

/// What a change made of a subscription, which is handed back as it is now.
pub(in crate::service) enum Changed {
    /// It was changed.
    Written(Box<Subscription>),
    /// It was not.
    Kept(Box<Subscription>),
    /// There is none of that life.
    Missing,
    /// It was not, or nobody knows: others were faster, or the store does not say. To be tried
    /// again with the same commit id.
    Busy,
}

/// Whether a change is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) enum Change {
    Keep,
    Write,
}

impl<E: Env> Core<'_, E> {
    pub(in crate::service) fn decode_subscription(
        slot: &Slot,
        gate: u32,
        body: &[u8],
        version: u64,
    ) -> Result<Stored, Fault> {
        Stored::decode(body, version).map_err(|_| Fault::Corrupt {
            key: slot.key(gate),
        })
    }

    /// The record of a subscription.
    pub(in crate::service) fn stored(&self, hash: &NameHash) -> Result<Option<Stored>, Fault> {
        let slot = self.keys.subscription(hash);
        let Some((gate, envelope)) = self.read(&slot)? else {
            return Ok(None);
        };
        Self::decode_subscription(&slot, gate, &envelope.body, envelope.version).map(Some)
    }

    /// The subscription of that hash and life; of any life, if none is given.
    pub(in crate::service) fn subscription(
        &self,
        hash: &NameHash,
        life: Option<u64>,
    ) -> Result<Option<Box<Subscription>>, Fault> {
        Ok(match self.stored(hash)? {
            Some(Stored::Live(found)) if life.is_none_or(|life| life == found.life) => Some(found),
            _ => None,
        })
    }

    /// Finds the record of the subscription of `slot` to swap it; nothing where there is none.
    pub(super) fn find_stored(&self, slot: &Slot) -> Result<Option<(E::Cas, Stored)>, Fault> {
        match self.find(slot)? {
            Place::Found {
                gate,
                cas,
                envelope: Envelope { body, version, .. },
            } => {
                let stored = Self::decode_subscription(slot, gate, &body, version)?;
                Ok(Some((cas, stored)))
            }
            Place::Missing { .. } => Ok(None),
        }
    }

    /// Changes a subscription. A change that may have been applied is recognised by its commit id,
    /// so `edit` takes effect once for each id.
    pub(in crate::service) fn change(
        &self,
        hash: &NameHash,
        life: u64,
        commit: u64,
        mut edit: impl FnMut(&mut Subscription) -> Result<Change, Fault>,
    ) -> Result<Changed, Fault> {
        let slot = self.keys.subscription(hash);
        for _ in 0..TRIES {
            let (cas, mut subscription) = match self.find_stored(&slot)? {
                Some((cas, Stored::Live(found))) if found.life == life => (cas, found),
                _ => return Ok(Changed::Missing),
            };
            if subscription.commits.contains(&commit) {
                return Ok(Changed::Written(subscription));
            }
            if edit(&mut subscription)? == Change::Keep {
                return Ok(Changed::Kept(subscription));
            }
            let base = subscription.version;
            subscription.commit(commit);
            let stored = Stored::Live(subscription);
            let swapped = self.env.swap(cas, &stored.seal());
            if !matches!(&swapped, Err(SwapError::Store(error)) if error.refuses()) {
                self.note_write();
            }
            match (swapped, stored) {
                (Ok(()), Stored::Live(subscription)) => return Ok(Changed::Written(subscription)),
                (Err(SwapError::Store(error)), _) if error.refuses() => return Err(error.into()),
                (Err(SwapError::Store(_)), _) if self.aside.commit.get() == Some(commit) => {
                    let (hash, life) = (*hash, life);
                    self.aside.doubt.set(Some(Doubt { hash, life, base }));
                }
                // Whatever it says, what counts is what is there now.
                _ => {}
            }
        }
        Ok(Changed::Busy)
    }

    fn decode_list(slot: &Slot, body: &[u8]) -> Result<Vec<Entry>, Fault> {
        decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
    }

    /// The list of all subscriptions.
    pub(in crate::service) fn subscriptions(&self) -> Result<Vec<Entry>, Fault> {
        let slot = self.keys.subscriptions();
        match self.read(&slot)? {
            Some((_, envelope)) => Self::decode_list(&slot, &envelope.body),
            None => Ok(Vec::new()),
        }
    }

    /// Brings a subscription's entry in that list up to date. The record is read after the list, so
    /// that of two who do this the later one writes what is there. False if there is no room.
    pub(in crate::service) fn list(
        &self,
        hash: &NameHash,
        life: u64,
        progress: &mut SharedCreation,
    ) -> Result<Updated<bool>, Fault> {
        let slot = self.keys.subscriptions();
        self.update(&slot, progress, |body| {
            let mut entries = Self::decode_list(&slot, body)?;
            let Some(subscription) = self.subscription(hash, Some(life))? else {
                return Ok(Edit::Keep(true));
            };
            let entry = Entry::of(&subscription);
            let same = |other: &&mut Entry| other.subscription == entry.subscription;
            match entries.iter_mut().find(same) {
                Some(known) if *known == entry => return Ok(Edit::Keep(true)),
                Some(former) => *former = entry,
                None => entries.push(entry),
            }
            let bytes = encode(&entries);
            Ok(match bytes.len() <= SUBSCRIPTIONS_BYTES {
                true => Edit::Write(bytes, true),
                false => Edit::Keep(false),
            })
        })
    }

    /// Removes the entry of one life of a subscription from that list.
    pub(in crate::service) fn unlist(
        &self,
        subscription: &NameHash,
        life: u64,
        progress: &mut SharedCreation,
    ) -> Result<Updated<()>, Fault> {
        let slot = self.keys.subscriptions();
        self.update(&slot, progress, |body| {
            let mut entries = Self::decode_list(&slot, body)?;
            let before = entries.len();
            entries
                .retain(|entry| entry.subscription != *subscription.bytes() || entry.life != life);
            Ok(match entries.len() == before {
                true => Edit::Keep(()),
                false => Edit::Write(encode(&entries), ()),
            })
        })
    }
}
