//! Creation of a subscription (section 6.2), in bounded steps:
//!
//! 1. Write its record.
//! 2. Add its entry to the list of all subscriptions.
//! 3. Link it to the named streams.
//! 4. Link it to the streams in the registry that match its pattern.
//!
//! The answer comes only after the last step. After a crash an equal request continues the
//! creation.

use super::records::{Change, Changed};
use super::stop::Stop;
use super::{lookup, naming, records, signing, spread};
use crate::access::Rights;
use crate::keys::registry::Leaf;
use crate::keys::subscription::Stored;
use crate::keys::{Envelope, NameHash};
use crate::limits::{BACKFILL_STREAMS, SHARDS};
use crate::protocol::control::{Ask, Refused, RefusedCode};
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::{Env, SwapError};
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::heads::Lookup;
use crate::service::progress::{Commit, CreateProgress, Election};
use crate::service::records::election::{Candidate, Step};
use crate::service::records::names;
use crate::service::records::update::Updated;
use crate::stream::{Incarnation, Position};
use crate::subscription::{Delivery, Kind, Links, Phase, Subscription, config_hash};

/// The parts of a request that its creation needs.
pub(super) struct Creating<'a> {
    pub(super) id: &'a str,
    pub(super) ask: &'a Ask,
    pub(super) rights: &'a Rights,
    pub(super) origin: &'a str,
    /// The life of the subscription: the id of the commit that creates it.
    pub(super) life: u64,
    pub(super) now_ms: u64,
}

/// Reads of the record in one step.
const LOOKS: usize = 4;

/// Creates a subscription, or finds that it exists. Returns whether this call created it.
pub(super) fn create_subscription<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    creating: &Creating<'_>,
    commit: &mut Commit,
    progress: &mut CreateProgress,
) -> Result<(bool, Box<Subscription>), Stop> {
    check_rights(core, creating)?;
    if let Updated::Wait(ms) = signing::make_keys(core, &mut progress.shared)? {
        return Err(Stop::Wait(ms));
    }
    let hash = NameHash::of_subscription(creating.id);
    let subscription = begin(core, &hash, creating, commit, progress)?;
    let ours = subscription.life == creating.life;
    if subscription.backfilled {
        return Ok((ours, subscription));
    }
    let linked = backfill(core, effects, &subscription, progress);
    if let (Err(Stop::Refused(_)), true) = (&linked, ours) {
        // No caller has seen the subscription.
        lookup::end_subscription(core, &hash, subscription.life, &mut progress.shared)?;
    }
    linked?;
    let changed = records::change(core, &hash, subscription.life, commit, |subscription| {
        subscription.backfilled = true;
        Ok(Change::Write)
    })?;
    match changed {
        Changed::Written(subscription) | Changed::Kept(subscription) => {
            // Events that arrived during the backfill did not wake it.
            spread::rouse_quietly(core, effects, &subscription);
            // This call reads the heads of all streams, and the answer reads them again: in its own
            // step.
            match subscription.links.len() > BACKFILL_STREAMS {
                true => Err(Stop::Wait(0)),
                false => Ok((ours, subscription)),
            }
        }
        Changed::Missing => Err(Stop::missing(creating.id)),
        Changed::Busy => Err(Stop::Wait(core.pause_ms(3))),
    }
}

fn check_rights<E: Env>(core: &Core<E>, creating: &Creating<'_>) -> Result<(), Stop> {
    use crate::access::Scope::{Read, Write};
    let rights = creating.rights;
    let (config, streams) = (&creating.ask.config, &creating.ask.streams);
    if let Some(pattern) = &config.pattern {
        if !rights.has(Read) || !pattern.is_within(&rights.prefix) {
            return Err(Stop::forbidden("read", pattern.as_str()));
        }
        if !core.config.registry {
            let message = "A pattern needs the registry of names, which is off on this server \
                           (variable registry). Send streams instead.";
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

/// Writes the record, or finds an existing one.
fn begin<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    creating: &Creating<'_>,
    commit: &mut Commit,
    progress: &mut CreateProgress,
) -> Result<Box<Subscription>, Stop> {
    let slot = core.keys.subscription(hash);
    let mut fresh = fresh(core, creating)?;
    for _ in 0..LOOKS {
        match heads::find(core, &slot)? {
            Lookup::Found {
                gate,
                cas,
                envelope,
            } => {
                let stored = records::decode_subscription(
                    core,
                    &slot,
                    gate,
                    &envelope.body,
                    envelope.version,
                )?;
                match stored {
                    Stored::Live(found) => {
                        let same = found.id == fresh.id;
                        if same && found.config_hash == fresh.config_hash {
                            return Ok(found);
                        }
                        let message = "The subscription exists with a different configuration. \
                                       Send its configuration, or use another id.";
                        let code = RefusedCode::SubscriptionAlreadyExists;
                        return Err(Refused::new(code, message).into());
                    }
                    Stored::Deleted { version, life, .. } => {
                        if life == creating.life {
                            return Err(Stop::Fault(Fault::Unknown(
                                "the subscription was deleted again".to_owned(),
                            )));
                        }
                        fresh.version = version.saturating_add(1);
                        let stored = Stored::Live(fresh.clone());
                        commit.wrote = true;
                        match core.env.swap(cas, &stored.seal()) {
                            Ok(()) => return Ok(fresh),
                            Err(SwapError::Failed(_)) => {}
                            Err(SwapError::Store(error)) => {
                                return Err(Fault::from(error).into());
                            }
                        }
                    }
                }
            }
            Lookup::Missing { gate } => {
                if progress.election.gate < gate {
                    progress.election = Election {
                        gate,
                        ..Election::default()
                    };
                }
                let stored = Stored::Live(fresh.clone());
                let life = creating.life;
                let is_ours = |envelope: &Envelope| {
                    let stored = Stored::decode(&envelope.body, envelope.version);
                    matches!(stored, Ok(Stored::Live(found)) if found.life == life)
                };
                let candidate = Candidate {
                    core,
                    slot: &slot,
                    version: stored.version(),
                    body: &stored.encode(),
                    is_ours: &is_ours,
                };
                commit.wrote = true;
                match candidate.step(&mut progress.election)? {
                    Step::Created | Step::Taken => {}
                    Step::Wait(ms) => return Err(Stop::Wait(ms)),
                }
            }
        }
    }
    Err(Stop::Wait(core.pause_ms(3)))
}

fn fresh<E: Env>(_core: &Core<E>, creating: &Creating<'_>) -> Result<Box<Subscription>, Stop> {
    let (config, streams) = (&creating.ask.config, &creating.ask.streams);
    let mut links = Links::default();
    for name in streams {
        let stream = *NameHash::of(name).bytes();
        // Holds until the stream is read, or begins.
        let added = links.add(stream, Position::ZERO, Kind::Explicit, None);
        added.map_err(|error| Refused::new(RefusedCode::TooManyLinks, error.to_string()))?;
    }
    Ok(Box::new(Subscription {
        id: creating.id.to_owned(),
        life: creating.life,
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

/// Links the existing streams.
fn backfill<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
    progress: &mut CreateProgress,
) -> Result<(), Stop> {
    let mut left = BACKFILL_STREAMS;
    naming::link_streams(
        core,
        effects,
        &subscription.streams,
        subscription,
        progress,
        &mut left,
    )?;
    if subscription.config.pattern.is_some() {
        walk_registry(core, effects, subscription, progress, left)?;
    }
    Ok(())
}

fn walk_registry<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
    progress: &mut CreateProgress,
    mut left: usize,
) -> Result<(), Stop> {
    while progress.shard < SHARDS {
        // The current number of leaves is enough: a stream that enters its name into a later leaf
        // reads the list of subscriptions.
        let first = names::first_leaf(core, progress.shard)?;
        let leaves = first.as_ref().map_or(0, |first| first.leaves);
        let mut first = first.filter(|_| progress.leaf == 0);
        while progress.leaf < leaves {
            // A leaf counts even if it has no matching name.
            if left == 0 {
                return Err(Stop::Wait(0));
            }
            left = left.saturating_sub(1);
            let leaf = match first.take() {
                Some(first) => first,
                None => names::leaf_of(core, progress.shard, progress.leaf)?,
            };
            walk_leaf(core, effects, &leaf, subscription, progress, &mut left)?;
            progress.leaf = progress.leaf.saturating_add(1);
            progress.after = None;
        }
        progress.shard = progress.shard.saturating_add(1);
        progress.leaf = 0;
    }
    Ok(())
}

fn walk_leaf<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    leaf: &Leaf,
    subscription: &Subscription,
    progress: &mut CreateProgress,
    left: &mut usize,
) -> Result<(), Stop> {
    // A name that leaves the leaf between two steps moves later names forward, so indexes prove
    // nothing. If the last linked name left, the step reads the leaf from its beginning.
    let is_last = |life: Incarnation| {
        let mut entries = leaf.entries.iter();
        entries.position(|entry| entry.incarnation == life)
    };
    let last = progress.after.and_then(is_last);
    let done = last.map_or(0, |last| last.saturating_add(1));
    let wanted = leaf.entries.iter().skip(done);
    for entry in wanted.filter(|entry| records::wants(subscription, &entry.name).is_some()) {
        if *left == 0 {
            return Err(Stop::Wait(0));
        }
        *left = left.saturating_sub(1);
        naming::link_at_tail(core, effects, &entry.name, subscription)?;
        progress.after = Some(entry.incarnation);
    }
    Ok(())
}
