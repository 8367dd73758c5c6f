//! Calls of workers (sections 7.1 and 7.2): claims, acks, callbacks, releases.

use super::lookup::written;
use super::records::{Change, Changed};
use super::signing::Keyring;
use super::stop::Stop;
use super::streams::Linked;
use super::{lookup, records, signing, spread, streams, token};
use crate::access::Rights;
use crate::keys::NameHash;
use crate::protocol::control::{
    AckAsk, AckDocument, ClaimAsk, ClaimDocument, Refused, RefusedCode, WakeRef, wake_id,
};
use crate::protocol::offset;
use crate::protocol::request::WorkCall;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::places::{self, Placed};
use crate::service::progress::Commit;
use crate::stream::{Head, OffsetGone, Position};
use crate::subscription::{AckError, Acked, ClaimError, Fence, Fenced, Phase, Subscription};

fn fenced(error: Fenced) -> Stop {
    Refused::new(RefusedCode::Fenced, error.to_string()).into()
}

fn refused(error: &ClaimError) -> Stop {
    let code = match error {
        ClaimError::AlreadyClaimed { .. } => RefusedCode::AlreadyClaimed,
        ClaimError::NoPendingWork => RefusedCode::NoPendingWork,
    };
    let mut refused = Refused::new(code, error.to_string());
    if let ClaimError::AlreadyClaimed { worker, generation } = error {
        refused.holder = Some((worker.clone(), *generation));
    }
    refused.into()
}

fn needed_keys<E: Env>(core: &Core<E>) -> Result<Keyring, Stop> {
    let missing = || Stop::Fault(Fault::Deadline("there are no signing keys"));
    signing::keyring(core)?.ok_or_else(missing)
}

/// The subscription with that id, once its creation is complete.
fn working<E: Env>(core: &Core<E>, id: &str, rights: &Rights) -> Result<Box<Subscription>, Stop> {
    let found = lookup::subscription_named(core, id, rights)?;
    match found.backfilled {
        true => Ok(found),
        false => Err(Stop::missing(id)),
    }
}

/// Gives a subscription to a worker.
pub(super) fn claim<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    id: &str,
    asked: &ClaimAsk,
    rights: &Rights,
    commit: &mut Commit,
) -> Result<ClaimDocument, Stop> {
    let hash = NameHash::of_subscription(id);
    let found = working(core, id, rights)?;
    if found.config.is_webhook() {
        let message = "This subscription has a webhook, so workers can't claim it.";
        return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
    }
    let keyring = needed_keys(core)?;
    // Refuses most claims of a held subscription early, before its streams are read.
    if !found.commits.contains(&commit.id) {
        let mut tried = found.clone();
        let judged = tried.claim(&asked.worker, commit.id, core.env.now_ms(), true);
        judged.map_err(|error| refused(&error))?;
    }
    let linked = streams::snapshot(core, &found)?;
    let pending = linked.iter().any(Linked::is_pending);
    let mut judged = Ok(());
    let claim = commit.id;
    let changed = records::change(core, &hash, found.life, commit, |subscription| {
        judged = subscription.claim(&asked.worker, claim, core.env.now_ms(), pending);
        if judged.is_err() {
            return Ok(Change::Keep);
        }
        records::note_wake(core, &hash, subscription)?;
        Ok(Change::Write)
    })?;
    if let (Changed::Kept(_), Err(error)) = (&changed, &judged) {
        return Err(refused(error));
    }
    let subscription = written(core, id, changed)?;
    let (Phase::Held { worker, .. }, Some(fence)) = (&subscription.phase, subscription.fence())
    else {
        let why = "the claim was applied, but its lease is already over".to_owned();
        return Err(Stop::Fault(Fault::Unknown(why)));
    };
    if *worker != asked.worker {
        return Err(fenced(Fenced));
    }
    effects.expect(subscription.due_ms());
    Ok(ClaimDocument {
        wake_id: wake_id(fence.wake),
        generation: fence.generation,
        token: token::issue(&keyring, &subscription, core.env.now_ms()),
        streams: linked.iter().map(|one| one.document(true)).collect(),
        lease_ttl_ms: subscription.config.lease_ttl_ms,
    })
}

/// Checks that a worker's call is about the current wake (section 7.3).
fn admit<E: Env>(
    core: &Core<E>,
    asked: &str,
    call: WorkCall,
    token: Option<&[u8]>,
    fencing: WakeRef,
    commit: &Commit,
) -> Result<(Box<Subscription>, Fence), Stop> {
    // A worker needs no right beyond its token.
    let token = token.unwrap_or_default();
    let keyring = signing::keyring(core)?;
    let named = keyring.and_then(|keyring| token::names(&keyring, token, asked));
    let found = match (
        working(core, named.as_deref().unwrap_or(asked), &Rights::all()),
        &named,
    ) {
        // A forged token must not reveal which ids exist.
        (Err(Stop::Refused(_)), None) if core.access.is_on() => return Err(token::invalid().into()),
        (found, _) => found?,
    };
    if found.config.is_webhook() != (call == WorkCall::Callback) {
        let message = match call {
            WorkCall::Callback => "This subscription is pull-wake: use claim, ack and release.",
            WorkCall::Ack | WorkCall::Release => {
                "This subscription has a webhook: use its callback_url."
            }
        };
        return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
    }
    let keyring = needed_keys(core)?;
    let generation = token::judge(&keyring, token, &found, core.env.now_ms())?;
    let fence = fencing.fence.ok_or_else(|| fenced(Fenced))?;
    if fence.generation != generation {
        return Err(fenced(Fenced));
    }
    if !found.commits.contains(&commit.id) {
        found.check(fence).map_err(fenced)?;
    }
    Ok((found, fence))
}

/// Refuses an ack of an offset that is not in the stream, or that the store has lost. An ack for an
/// earlier life of the stream comes too late, and moves nothing.
fn check_ack<E: Env>(core: &Core<E>, head: &Head, to: Position) -> Result<(), Stop> {
    let relation = match places::judge(core, head, Some(to))? {
        Placed::Here(_) | Placed::Gone(OffsetGone::EarlierLife) => return Ok(()),
        Placed::Beyond | Placed::Later => "is beyond the tail of",
        Placed::Gone(OffsetGone::Lost) => "is in a lost part of",
    };
    let (offset, name) = (offset::format(to), &head.name);
    let message = format!(
        "The offset {offset} {relation} {name}. Ack only offsets that the server returned."
    );
    Err(Refused::new(RefusedCode::InvalidOffset, message).into())
}

/// Moves cursors, and extends the lease or ends the wake.
pub(super) fn ack_wake<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    id: &str,
    call: WorkCall,
    token: Option<&[u8]>,
    asked: &AckAsk,
    commit: &mut Commit,
) -> Result<AckDocument, Stop> {
    let (found, fence) = admit(core, id, call, token, asked.fencing, commit)?;
    let mut acks = Vec::with_capacity(asked.acks.len());
    for (name, to) in &asked.acks {
        let stream = *NameHash::of(name).bytes();
        let head = streams::linked_head(core, &stream)?;
        if let Some(head) = &head {
            check_ack(core, head, *to)?;
        }
        acks.push(Acked {
            stream,
            to: *to,
            life: head.map(|head| head.incarnation.mark()),
        });
    }
    let hash = NameHash::of_subscription(&found.id);
    let mut judged = Ok(());
    let changed = records::change(core, &hash, found.life, commit, |subscription| {
        judged = subscription.ack(fence, &acks, asked.done, core.env.now_ms());
        Ok(match judged {
            Ok(()) => Change::Write,
            Err(_) => Change::Keep,
        })
    })?;
    if let (Changed::Kept(_), Err(error)) = (&changed, judged) {
        return Err(match error {
            AckError::Fenced(error) => fenced(error),
            AckError::NotLinked { place } => {
                let name = asked.acks.get(place).map_or("", |(name, _)| name);
                let message = format!("{error}: {name}");
                Refused::new(RefusedCode::NotLinked, message).into()
            }
        });
    }
    let subscription = written(core, &found.id, changed)?;
    effects.expect(subscription.due_ms());
    Ok(AckDocument {
        ok: true,
        next_wake: asked.done && spread::rouse_quietly(core, effects, &subscription),
    })
}

/// Ends a wake without moving a cursor.
pub(super) fn release_wake<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    id: &str,
    token: Option<&[u8]>,
    fencing: WakeRef,
    commit: &mut Commit,
) -> Result<(), Stop> {
    let (found, fence) = admit(core, id, WorkCall::Release, token, fencing, commit)?;
    let hash = NameHash::of_subscription(&found.id);
    let mut judged = Ok(());
    let changed = records::change(core, &hash, found.life, commit, |subscription| {
        judged = subscription.release(fence, core.env.now_ms());
        Ok(match judged {
            Ok(()) => Change::Write,
            Err(_) => Change::Keep,
        })
    })?;
    if let (Changed::Kept(_), Err(error)) = (&changed, judged) {
        return Err(fenced(error));
    }
    let subscription = written(core, &found.id, changed)?;
    spread::rouse_quietly(core, effects, &subscription);
    Ok(())
}
