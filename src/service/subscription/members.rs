//! Streams that are named, and the end of a subscription (sections 6.3 and 6.4).

use super::Stop;
use super::create::CreateProgress;
use super::records::{Change, Changed};
use crate::access::{Rights, Scope};
use crate::keys::NameHash;
use crate::keys::subscription::Stored;
use crate::limits::{BACKFILL_STREAMS, SUBSCRIPTION_NAMES_BYTES};
use crate::protocol::control::{Refused, RefusedCode};
use crate::service::core::{Core, Fault};
use crate::service::env::{Env, SwapError};
use crate::service::update::{SharedCreation, Updated};
use crate::stream::Position;
use crate::subscription::{Kind, Subscription};

/// Looks at the record in one step.
const LOOKS: usize = 4;

impl<E: Env> Core<'_, E> {
    /// Names more streams, in bounded steps: their tails; the record; the list; links to them.
    pub(super) fn add_streams(
        &self,
        id: &str,
        names: &[String],
        rights: &Rights,
        commit: u64,
        progress: &mut CreateProgress,
    ) -> Result<(), Stop> {
        let found = self.subscription_named(id, rights)?;
        let allowed = |name: &&String| {
            rights.allow(Scope::Read, name) && found.rights.allow(Scope::Read, name)
        };
        if let Some(name) = names.iter().find(|name| !allowed(name)) {
            return Err(Stop::forbidden("read", name));
        }
        if names.iter().any(|name| found.config.is_wake_stream(name)) {
            let message = "wake_stream can't be one of the streams";
            return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
        }
        let mut left = BACKFILL_STREAMS;
        let subscription = match progress.named_to {
            Some(life) if life == found.life => found,
            // Another took its place.
            Some(_) => return Err(Stop::missing(id)),
            None => self.note_streams(&found, names, commit, progress, &mut left)?,
        };
        let linked = self.link_streams(names, &subscription, progress, &mut left);
        if let Err(Stop::Refused(_)) = linked {
            self.take_back(names, &subscription, progress)?;
        }
        linked
    }

    /// First the list, then the heads: a stream that begins meanwhile reads the list.
    pub(super) fn link_streams(
        &self,
        names: &[String],
        subscription: &Subscription,
        progress: &mut CreateProgress,
        left: &mut usize,
    ) -> Result<(), Stop> {
        if !progress.listed {
            self.enlist(subscription, &mut progress.shared)?;
            progress.listed = true;
        }
        self.link_named(names, subscription, progress, left)
    }

    /// Takes back the naming of streams by a call that is refused after all.
    fn take_back(
        &self,
        names: &[String],
        subscription: &Subscription,
        progress: &mut CreateProgress,
    ) -> Result<(), Stop> {
        let fresh = progress.fresh.iter().filter_map(|place| names.get(*place));
        let hash = NameHash::of(&subscription.id);
        let commit = self.env.random();
        let changed = self.change(&hash, subscription.life, commit, |subscription| {
            let mut change = Change::Keep;
            for name in fresh.clone() {
                if self.unname(subscription, name) {
                    change = Change::Write;
                }
            }
            Ok(change)
        })?;
        let subscription = written(self, &subscription.id, changed)?;
        self.enlist(&subscription, &mut progress.shared)?;
        for name in fresh.take(BACKFILL_STREAMS) {
            self.unlink_unwanted(name, &subscription);
        }
        Ok(())
    }

    /// Removes a name that was given. The stream stays linked if the pattern is for it. Says whether
    /// that changed anything.
    fn unname(&self, subscription: &mut Subscription, name: &str) -> bool {
        let known = |other: &String| (**other).cmp(name);
        let Ok(place) = subscription.streams.binary_search_by(known) else {
            return false;
        };
        subscription.streams.remove(place);
        let kind = self.wants(subscription, name);
        let stream = NameHash::of(name);
        subscription.links.unname(stream.bytes(), kind);
        true
    }

    /// Removes the link of a stream to a subscription that does not want it any more. If this fails
    /// the next append does it.
    fn unlink_unwanted(&self, name: &str, subscription: &Subscription) {
        if self.wants(subscription, name).is_none() {
            let hash = NameHash::of(&subscription.id);
            let _ = self.unlink_head(&NameHash::of(name), &hash, subscription.life);
        }
    }

    /// Writes more names into the record, all of them or none.
    fn note_streams(
        &self,
        found: &Subscription,
        names: &[String],
        commit: u64,
        progress: &mut CreateProgress,
        left: &mut usize,
    ) -> Result<Box<Subscription>, Stop> {
        // What was appended before is not of interest, even if this is stopped half way.
        for name in names.iter().skip(progress.tails.len()) {
            if *left == 0 {
                return Err(Stop::Wait(0));
            }
            *left = left.saturating_sub(1);
            let head = self.linked_head(NameHash::of(name).bytes())?;
            let tail = head.map_or(Position::ZERO, |head| head.tail());
            progress.tails.push(tail);
        }
        let hash = NameHash::of(&found.id);
        let mut full = false;
        let CreateProgress { tails, fresh, .. } = progress;
        let changed = self.change(&hash, found.life, commit, |subscription| {
            let before = subscription.clone();
            fresh.clear();
            for (number, (name, tail)) in names.iter().zip(&*tails).enumerate() {
                if let Err(place) = subscription.streams.binary_search(name) {
                    subscription.streams.insert(place, name.clone());
                    fresh.push(number);
                }
                let stream = *NameHash::of(name).bytes();
                // One that was linked before keeps its cursor.
                let since = match subscription.links.get(&stream) {
                    Some(_) => Position::ZERO,
                    None => *tail,
                };
                let added = subscription.links.add(stream, since, Kind::Explicit, None);
                full |= added.is_err();
            }
            let bytes: usize = subscription.streams.iter().map(String::len).sum();
            full |= bytes > SUBSCRIPTION_NAMES_BYTES;
            Ok(match full || *subscription == before {
                true => Change::Keep,
                false => Change::Write,
            })
        })?;
        let subscription = written(self, &found.id, changed)?;
        if full {
            let message =
                "The subscription has no room for so many streams. Use a pattern, or another one.";
            return Err(Refused::new(RefusedCode::TooManyLinks, message).into());
        }
        progress.tails = Vec::new();
        progress.named_to = Some(subscription.life);
        Ok(subscription)
    }

    /// Takes back the naming of a stream.
    pub(super) fn remove_stream(
        &self,
        id: &str,
        name: &str,
        rights: &Rights,
        commit: u64,
        shared: &mut SharedCreation,
    ) -> Result<(), Stop> {
        let hash = NameHash::of(id);
        let found = self.subscription_named(id, rights)?;
        let changed = self.change(&hash, found.life, commit, |subscription| {
            Ok(match self.unname(subscription, name) {
                true => Change::Write,
                false => Change::Keep,
            })
        })?;
        let subscription = written(self, id, changed)?;
        self.enlist(&subscription, shared)?;
        self.unlink_unwanted(name, &subscription);
        Ok(())
    }

    /// The subscription of that id. One of somebody with other names than whoever asks is as if it
    /// did not exist.
    pub(super) fn subscription_named(
        &self,
        id: &str,
        rights: &Rights,
    ) -> Result<Box<Subscription>, Stop> {
        match self.subscription(&NameHash::of(id), None)? {
            Some(found) if found.id == id && rights.covers(&found.rights.prefix) => Ok(found),
            _ => Err(Stop::missing(id)),
        }
    }

    /// Ends one life of a subscription: nobody finds it any more. Links to it are removed by the
    /// appends that meet them.
    pub(super) fn end_subscription(
        &self,
        hash: &NameHash,
        life: u64,
        shared: &mut SharedCreation,
    ) -> Result<(), Stop> {
        let slot = self.keys.subscription(hash);
        for _ in 0..LOOKS {
            let Some((cas, stored)) = self.find_stored(&slot)? else {
                return Ok(());
            };
            let subscription = match stored {
                Stored::Live(subscription) if subscription.life == life => subscription,
                Stored::Live(_) | Stored::Deleted { .. } => {
                    return match self.unlist(hash, life, shared)? {
                        Updated::Done(()) => Ok(()),
                        Updated::Wait(ms) => Err(Stop::Wait(ms)),
                    };
                }
            };
            let deleted = Stored::Deleted {
                id: subscription.id,
                life,
                version: subscription.version.saturating_add(1),
            };
            self.note_write();
            match self.env.swap(cas, &deleted.seal()) {
                Err(SwapError::Store(error)) if error.refuses() => {
                    return Err(Fault::Store(error).into());
                }
                // Whatever it says, what counts is what is there now.
                Ok(()) | Err(SwapError::Failed(_) | SwapError::Store(_)) => {}
            }
        }
        Err(Stop::Wait(self.pause_ms(3)))
    }
}

/// The subscription as a change left it.
pub(super) fn written<E: Env>(
    core: &Core<'_, E>,
    id: &str,
    changed: Changed,
) -> Result<Box<Subscription>, Stop> {
    match changed {
        Changed::Written(subscription) | Changed::Kept(subscription) => Ok(subscription),
        Changed::Missing => Err(Stop::missing(id)),
        Changed::Busy => Err(Stop::Wait(core.pause_ms(3))),
    }
}
