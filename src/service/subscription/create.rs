//! Creation of a subscription (section 6.2), in bounded steps: its record; its entry in the list of
//! all subscriptions; links to the streams that were named; links to those that the registry has and
//! the pattern is for. Only then it is answered. Whoever asks for the same again after a crash goes
//! on with it.

use super::Stop;
use super::link::{From, Linking};
use super::records::{Change, Changed};
use crate::access::Rights;
use crate::keys::registry::Leaf;
use crate::keys::subscription::Stored;
use crate::keys::{Envelope, NameHash};
use crate::limits::{BACKFILL_STREAMS, SHARDS, SUBSCRIBERS, SUBSCRIPTION_LINKS};
use crate::protocol::control::{Ask, Refused, RefusedCode};
use crate::service::core::{Core, Fault, Place};
use crate::service::creation::{Creation, Creator, Step};
use crate::service::env::{Env, SwapError};
use crate::service::update::{SharedCreation, Updated};
use crate::stream::{Incarnation, Position};
use crate::subscription::{Delivery, Kind, Links, Phase, Subscription, config_hash};

/// How far a creation came, or the naming of more streams; kept in its attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::service) struct CreateProgress {
    pub(in crate::service) creation: Creation,
    pub(in crate::service) shared: SharedCreation,
    /// Whether the subscription is in the list.
    pub(in crate::service) listed: bool,
    /// Streams named that were looked at.
    pub(in crate::service) named: u64,
    /// Where the walk through the registry is.
    pub(in crate::service) shard: u8,
    pub(in crate::service) leaf: u32,
    /// The last name of that leaf that was linked, by its life.
    pub(in crate::service) after: Option<Incarnation>,
    /// The tails of streams that are to be named, as far as they were looked at.
    pub(in crate::service) tails: Vec<Position>,
    /// The life of the subscription that they were named to.
    pub(in crate::service) named_to: Option<u64>,
    /// Which of them, by their places, were not named before.
    pub(in crate::service) fresh: Vec<usize>,
}

/// What a creation needs of its request.
pub(super) struct Creating<'a> {
    pub(super) id: &'a str,
    pub(super) ask: &'a Ask,
    pub(super) rights: &'a Rights,
    pub(super) origin: &'a str,
    /// Drawn once; also the life of the subscription.
    pub(super) commit: u64,
    pub(super) now_ms: u64,
}

/// Looks at the record in one step.
const LOOKS: usize = 4;

impl<E: Env> Core<'_, E> {
    /// Creates a subscription, or finds that it is there. Says which.
    pub(super) fn create_subscription(
        &self,
        creating: &Creating<'_>,
        progress: &mut CreateProgress,
    ) -> Result<(bool, Box<Subscription>), Stop> {
        self.check_rights(creating)?;
        if let Updated::Wait(ms) = self.make_keys(&mut progress.shared)? {
            return Err(Stop::Wait(ms));
        }
        let hash = NameHash::of(creating.id);
        let subscription = self.begin(&hash, creating, progress)?;
        let ours = subscription.life == creating.commit;
        if subscription.backfilled {
            return Ok((ours, subscription));
        }
        let linked = self.backfill(&subscription, progress);
        if let (Err(Stop::Refused(_)), true) = (&linked, ours) {
            // Nobody was told of it.
            self.end_subscription(&hash, subscription.life, &mut progress.shared)?;
        }
        linked?;
        let commit = creating.commit;
        let changed = self.change(&hash, subscription.life, commit, |subscription| {
            subscription.backfilled = true;
            Ok(Change::Write)
        })?;
        match changed {
            Changed::Written(subscription) | Changed::Kept(subscription) => {
                // What came meanwhile woke nobody.
                self.rouse_quietly(&subscription);
                // That read the heads of all streams, and the answer does again: in its own step.
                match subscription.links.len() > BACKFILL_STREAMS {
                    true => Err(Stop::Wait(0)),
                    false => Ok((ours, subscription)),
                }
            }
            Changed::Missing => Err(Stop::missing(creating.id)),
            Changed::Busy => Err(Stop::Wait(self.pause_ms(3))),
        }
    }

    fn check_rights(&self, creating: &Creating<'_>) -> Result<(), Stop> {
        use crate::access::Scope::{Read, Write};
        let rights = creating.rights;
        let (config, streams) = (&creating.ask.config, &creating.ask.streams);
        if let Some(pattern) = &config.pattern {
            if !rights.has(Read) || !pattern.is_within(&rights.prefix) {
                return Err(Stop::forbidden("read", pattern.as_str()));
            }
            if !self.config.registry {
                let message =
                    "A pattern needs the registry of names, which is off here (variable registry)";
                return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
            }
        }
        if let Some(name) = streams.iter().find(|name| !rights.allow(Read, name)) {
            return Err(Stop::forbidden("read", name));
        }
        match &config.delivery {
            Delivery::PullWake { wake_stream } if !rights.allow(Write, wake_stream) => {
                Err(Stop::forbidden("write", wake_stream))
            }
            Delivery::PullWake { .. } | Delivery::Webhook { .. } => Ok(()),
        }
    }

    /// Writes the record, or finds it.
    fn begin(
        &self,
        hash: &NameHash,
        creating: &Creating<'_>,
        progress: &mut CreateProgress,
    ) -> Result<Box<Subscription>, Stop> {
        let slot = self.keys.subscription(hash);
        let mut fresh = self.fresh(creating)?;
        for _ in 0..LOOKS {
            match self.find(&slot)? {
                Place::Found {
                    gate,
                    cas,
                    envelope,
                } => {
                    let stored =
                        Self::decode_subscription(&slot, gate, &envelope.body, envelope.version)?;
                    match stored {
                        Stored::Live(found) => {
                            let same = found.id == fresh.id;
                            if same && found.config_hash == fresh.config_hash {
                                return Ok(found);
                            }
                            let message = "The subscription exists with a different configuration";
                            let code = RefusedCode::SubscriptionAlreadyExists;
                            return Err(Refused::new(code, message).into());
                        }
                        Stored::Deleted { version, life, .. } => {
                            if life == creating.commit {
                                return Err(Stop::Fault(Fault::Unknown(
                                    "the subscription was deleted again".to_owned(),
                                )));
                            }
                            fresh.version = version.saturating_add(1);
                            let stored = Stored::Live(fresh.clone());
                            self.note_write();
                            match self.env.swap(cas, &stored.seal()) {
                                Ok(()) => return Ok(fresh),
                                Err(SwapError::Failed(_)) => {}
                                Err(SwapError::Store(error)) => {
                                    return Err(Fault::from(error).into());
                                }
                            }
                        }
                    }
                }
                Place::Missing { gate } => {
                    if progress.creation.gate < gate {
                        progress.creation = Creation {
                            gate,
                            ..Creation::default()
                        };
                    }
                    let stored = Stored::Live(fresh.clone());
                    let life = creating.commit;
                    let is_ours = |envelope: &Envelope| {
                        let stored = Stored::decode(&envelope.body, envelope.version);
                        matches!(stored, Ok(Stored::Live(found)) if found.life == life)
                    };
                    let creator = Creator {
                        core: *self,
                        slot: &slot,
                        version: stored.version(),
                        body: &stored.encode(),
                        is_ours: &is_ours,
                    };
                    self.note_write();
                    match creator.step(&mut progress.creation)? {
                        Step::Created | Step::Taken => {}
                        Step::Wait(ms) => return Err(Stop::Wait(ms)),
                    }
                }
            }
        }
        Err(Stop::Wait(self.pause_ms(3)))
    }

    fn fresh(&self, creating: &Creating<'_>) -> Result<Box<Subscription>, Stop> {
        let (config, streams) = (&creating.ask.config, &creating.ask.streams);
        let mut links = Links::default();
        for name in streams {
            let stream = *NameHash::of(name).bytes();
            // Until the stream is looked at, or begins.
            let added = links.add(stream, Position::ZERO, Kind::Explicit, None);
            added.map_err(|error| Refused::new(RefusedCode::TooManyLinks, error.to_string()))?;
        }
        Ok(Box::new(Subscription {
            id: creating.id.to_owned(),
            life: creating.commit,
            version: 1,
            config: config.clone(),
            config_hash: config_hash(config, streams),
            streams: streams.clone(),
            rights: creating.rights.clone(),
            origin: creating.origin.to_owned(),
            created_ms: creating.now_ms,
            commits: Vec::new(),
            backfilled: false,
            generation: 0,
            phase: Phase::Idle,
            failures: 0,
            noted: 0,
            is_noted: false,
            links,
        }))
    }

    /// Links the streams that there are.
    fn backfill(
        &self,
        subscription: &Subscription,
        progress: &mut CreateProgress,
    ) -> Result<(), Stop> {
        let mut left = BACKFILL_STREAMS;
        self.link_streams(&subscription.streams, subscription, progress, &mut left)?;
        if subscription.config.pattern.is_some() {
            self.walk_registry(subscription, progress, left)?;
        }
        Ok(())
    }

    /// Writes the subscription into the list that streams read when they begin.
    pub(super) fn enlist(
        &self,
        subscription: &Subscription,
        shared: &mut SharedCreation,
    ) -> Result<(), Stop> {
        let hash = NameHash::of(&subscription.id);
        match self.list(&hash, subscription.life, shared)? {
            Updated::Done(true) => Ok(()),
            Updated::Done(false) => {
                let message = "There is no room for another subscription, or for its names. Delete \
                               one, or give it fewer names.";
                Err(Refused::new(RefusedCode::TooManySubscriptions, message).into())
            }
            Updated::Wait(ms) => Err(Stop::Wait(ms)),
        }
    }

    /// Links the streams of these names that were not looked at, as many as are left to the step.
    pub(super) fn link_named(
        &self,
        names: &[String],
        subscription: &Subscription,
        progress: &mut CreateProgress,
        left: &mut usize,
    ) -> Result<(), Stop> {
        let done = usize::try_from(progress.named).unwrap_or(usize::MAX);
        for name in names.iter().skip(done) {
            if *left == 0 {
                return Err(Stop::Wait(0));
            }
            *left = left.saturating_sub(1);
            self.link_at_tail(name, subscription)?;
            progress.named = progress.named.saturating_add(1);
        }
        Ok(())
    }

    /// Links a stream, if it is there, for what comes from now on.
    fn link_at_tail(&self, name: &str, subscription: &Subscription) -> Result<(), Stop> {
        let hash = NameHash::of(name);
        match self.link(&hash, name, &[subscription], From::Tail)? {
            Linking::Done | Linking::Absent => Ok(()),
            Linking::Busy => Err(Stop::Wait(self.pause_ms(2))),
            Linking::Full => {
                let message = format!(
                    "The stream {name} has {SUBSCRIBERS} subscriptions already, or the \
                     subscription {SUBSCRIPTION_LINKS} streams."
                );
                Err(Refused::new(RefusedCode::TooManyLinks, message).into())
            }
        }
    }

    fn walk_registry(
        &self,
        subscription: &Subscription,
        progress: &mut CreateProgress,
        mut left: usize,
    ) -> Result<(), Stop> {
        while progress.shard < SHARDS {
            // How many leaves there are now is enough: a name that is entered in a later one is of
            // a stream that reads the list.
            let first = self.first_leaf(progress.shard)?;
            let leaves = first.as_ref().map_or(0, |first| first.leaves);
            let mut first = first.filter(|_| progress.leaf == 0);
            while progress.leaf < leaves {
                // A leaf without a name that is wanted is looked at all the same.
                if left == 0 {
                    return Err(Stop::Wait(0));
                }
                left = left.saturating_sub(1);
                let leaf = match first.take() {
                    Some(first) => first,
                    None => self.leaf_of(progress.shard, progress.leaf)?,
                };
                self.walk_leaf(&leaf, subscription, progress, &mut left)?;
                progress.leaf = progress.leaf.saturating_add(1);
                progress.after = None;
            }
            progress.shard = progress.shard.saturating_add(1);
            progress.leaf = 0;
        }
        Ok(())
    }

    fn walk_leaf(
        &self,
        leaf: &Leaf,
        subscription: &Subscription,
        progress: &mut CreateProgress,
        left: &mut usize,
    ) -> Result<(), Stop> {
        // Names that leave the leaf between two steps move those behind them forward, so places
        // say nothing. If the last one itself left, the leaf is looked at from its beginning.
        let is_last = |life: Incarnation| {
            let mut entries = leaf.entries.iter();
            entries.position(|entry| entry.incarnation == life)
        };
        let last = progress.after.and_then(is_last);
        let done = last.map_or(0, |last| last.saturating_add(1));
        let wanted = leaf.entries.iter().skip(done);
        for entry in wanted.filter(|entry| self.wants(subscription, &entry.name).is_some()) {
            if *left == 0 {
                return Err(Stop::Wait(0));
            }
            *left = left.saturating_sub(1);
            self.link_at_tail(&entry.name, subscription)?;
            progress.after = Some(entry.incarnation);
        }
        Ok(())
    }
}
