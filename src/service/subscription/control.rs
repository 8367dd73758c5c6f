//! Control calls (sections 6 and 7): dispatches each call to the file that performs it.

use super::create::Creating;
use super::signing::Rotated;
use super::stop::Stop;
use super::{announce, create, doubt, lookup, members, signing, streams, workers};
use crate::access::Rights;
use crate::keys::NameHash;
use crate::protocol::control::{
    AckAsk, Ask, ClaimAsk, Refused, RefusedCode, SigningDocument, StreamsAsk, SubscriptionDocument,
    WakeRef, WebhookDocument,
};
use crate::protocol::problem::{Code, Problem};
use crate::protocol::request::{Control, RawRequest, SubscriptionAction, WorkCall};
use crate::protocol::{headers, time};
use crate::service::attempt::ControlAttempt;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::{Env, StoreError};
use crate::service::fault::Fault;
use crate::service::records::update::Updated;
use crate::service::reply::Reply;
use crate::service::report;
use crate::subscription::{Delivery, Glob, Subscription, id};

/// Result of one step of a control call.
pub(in crate::service) enum ControlResult {
    Reply(Reply),
    /// Retry after this many milliseconds, passing this attempt back.
    Again(u64, Box<ControlAttempt>),
}

/// A control call, with its request.
pub(in crate::service) struct Call<'a> {
    pub(in crate::service) raw: &'a RawRequest<'a>,
    pub(in crate::service) control: &'a Control,
    /// Rights of the sender.
    pub(in crate::service) rights: &'a Rights,
    /// Scheme and authority that the request was sent to.
    pub(in crate::service) origin: &'a str,
}

/// Performs a control call.
pub(in crate::service) fn control<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    call: &Call<'_>,
    mut attempt: Box<ControlAttempt>,
) -> ControlResult {
    let stop = match perform(core, effects, call, &mut attempt) {
        Ok(reply) => return ControlResult::Reply(reply),
        Err(stop) => stop,
    };
    attempt.commit.wrote |= attempt.create.shared.wrote;
    let stop = definite(core, stop, &attempt);
    let again = match &stop {
        // A step that only continues is no wait: the call may go on as long as it makes progress.
        Stop::Wait(0) => {
            attempt.deadline_ms = core
                .env
                .now_ms()
                .saturating_add(core.config.commit_deadline_ms);
            Some(0)
        }
        Stop::Wait(ms) => Some(*ms),
        Stop::Fault(Fault::Store(StoreError::Unavailable(_))) => Some(core.pause_ms(attempt.tries)),
        _ => None,
    };
    if let Some(wait) = again {
        attempt.tries = attempt.tries.saturating_add(1);
        let create = &attempt.create;
        let extra = create
            .election
            .extra_ms()
            .max(create.shared.election.extra_ms());
        let end = attempt.deadline_ms.saturating_add(extra);
        if core.env.now_ms().saturating_add(wait) <= end {
            return ControlResult::Again(wait, attempt);
        }
    }
    let instance = call.raw.target;
    ControlResult::Reply(match stop {
        Stop::Refused(refused) => Reply::refused(&refused),
        Stop::Problem(problem) => Reply::problem(&problem, instance),
        // A store that failed after that may have kept the write.
        Stop::Fault(fault) if attempt.commit.wrote && !matches!(fault, Fault::Corrupt { .. }) => {
            report::fault(core, &Fault::Unknown(fault.to_string()), instance)
        }
        Stop::Fault(fault) => report::fault(core, &fault, instance),
        Stop::Wait(_) => {
            let why = "the deadline passed while a change was under way".to_owned();
            report::fault(core, &Fault::Unknown(why), instance)
        }
    })
}

/// Refuses a webhook: it needs URLs of this server, and the server knows none.
fn nowhere_to_call() -> Refused {
    let message = "A webhook needs a URL to call back, but neither the request nor public_url \
                   says where this server is. Send Host.";
    Refused::new(RefusedCode::InvalidRequest, message)
}

/// A refusal says that nothing was changed. If that is not certain, the outcome is unknown.
fn definite<E: Env>(core: &Core<E>, stop: Stop, attempt: &ControlAttempt) -> Stop {
    let (Stop::Refused(_) | Stop::Problem(_), Some(doubt)) = (&stop, &attempt.commit.doubt) else {
        return stop;
    };
    let why = match doubt::may_land(core, doubt, attempt.commit.id) {
        Ok(false) => return stop,
        Ok(true) => "the request was refused while its own change was under way".to_owned(),
        Err(fault) => fault.to_string(),
    };
    Stop::Fault(Fault::Unknown(why))
}

fn perform<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    call: &Call<'_>,
    attempt: &mut ControlAttempt,
) -> Result<Reply, Stop> {
    let (given, action) = match call.control {
        Control::Keys => return public_keys(core),
        Control::RotateKeys { .. } => return rotate(core, &call.rights.prefix, attempt),
        Control::Subscription { id, action } => (&**id, action),
    };
    let raw = call.raw;
    let id = match (&attempt.id, action) {
        // The worker's token identifies the subscription.
        (_, SubscriptionAction::Work { .. }) => given.to_owned(),
        (Some(id), _) => id.clone(),
        (None, action) => {
            let is_new = *action == SubscriptionAction::Create;
            lookup::full_id(core, given, call.rights, is_new)?
        }
    };
    let id = &**attempt.id.insert(id);
    let commit = &mut attempt.commit;
    let reply = match action {
        SubscriptionAction::Create => {
            let ask = Ask::parse(raw, &core.config)?;
            if ask.config.is_webhook() && call.origin.is_empty() {
                return Err(nowhere_to_call().into());
            }
            let creating = Creating {
                id,
                ask: &ask,
                rights: call.rights,
                origin: call.origin,
                life: commit.id,
                now_ms: attempt.now_ms,
            };
            let (new, subscription) =
                create::create_subscription(core, effects, &creating, commit, &mut attempt.create)?;
            let status = if new { 201 } else { 200 };
            Reply::json(status, &describe(core, &subscription)?)
        }
        SubscriptionAction::Read => Reply::json(
            200,
            &describe(core, &*lookup::subscription_named(core, id, call.rights)?)?,
        ),
        SubscriptionAction::Delete => {
            let shared = &mut attempt.create.shared;
            let found = match attempt.ended {
                // An earlier step may have ended it.
                Some(life) => life,
                None => lookup::subscription_named(core, id, call.rights)?.life,
            };
            attempt.ended = Some(found);
            lookup::end_subscription(core, &NameHash::of_subscription(id), found, shared)?;
            Reply::write(204)
        }
        SubscriptionAction::AddStreams => {
            let asked = StreamsAsk::parse(raw, &core.config)?;
            let progress = &mut attempt.create;
            members::add_streams(
                core,
                effects,
                id,
                &asked.streams,
                call.rights,
                commit,
                progress,
            )?;
            Reply::write(204)
        }
        SubscriptionAction::RemoveStream(name) => {
            let shared = &mut attempt.create.shared;
            members::remove_stream(core, id, name, call.rights, commit, shared)?;
            Reply::write(204)
        }
        SubscriptionAction::Claim => {
            let asked = ClaimAsk::parse(raw)?;
            Reply::json(
                200,
                &workers::claim(core, effects, id, &asked, call.rights, commit)?,
            )
        }
        SubscriptionAction::Work { call: work, token } => {
            let token = token.as_deref();
            match work {
                WorkCall::Release => {
                    workers::release_wake(core, effects, id, token, WakeRef::parse(raw)?, commit)?;
                    Reply::write(204)
                }
                WorkCall::Callback | WorkCall::Ack => {
                    let asked = AckAsk::parse(raw, &core.config)?;
                    Reply::json(
                        200,
                        &workers::ack_wake(core, effects, id, *work, token, &asked, commit)?,
                    )
                }
            }
        }
    };
    Ok(reply)
}

fn describe<E: Env>(
    core: &Core<E>,
    subscription: &Subscription,
) -> Result<SubscriptionDocument, Stop> {
    let (config, id) = (&subscription.config, id::given(&subscription.id));
    let (webhook, wake_stream) = match &config.delivery {
        Delivery::PullWake { wake_stream } => (None, Some(wake_stream.clone())),
        Delivery::Webhook { url } => {
            let signing = signing::keyring(core)?.map(|keyring| SigningDocument {
                alg: "ed25519",
                kid: keyring.kid(),
                jwks_url: format!("{}/jwks.json", announce::control_url(core, subscription)),
            });
            let url = url.clone();
            (Some(WebhookDocument { url, signing }), None)
        }
    };
    let linked = streams::snapshot(core, subscription)?;
    Ok(SubscriptionDocument {
        id: id.to_owned(),
        subscription_id: id.to_owned(),
        kind: match config.is_webhook() {
            true => "webhook",
            false => "pull-wake",
        },
        pattern: config.pattern.as_ref().map(Glob::as_str).map(str::to_owned),
        streams: linked.iter().map(|one| one.document(false)).collect(),
        webhook,
        wake_stream,
        lease_ttl_ms: config.lease_ttl_ms,
        created_at: time::format(subscription.created_ms),
        status: match subscription.is_failing() {
            true => "failed",
            false => "active",
        },
        description: config.description.clone(),
    })
}

fn public_keys<E: Env>(core: &Core<E>) -> Result<Reply, Stop> {
    let keyring = signing::keyring(core)?;
    // Before the first key no signature exists, and caches must not keep an empty set.
    let cache = match keyring {
        Some(_) => "public, max-age=300",
        None => "no-store",
    };
    let keys = keyring.map(|keyring| keyring.document().keys);
    let document = crate::protocol::control::KeysDocument {
        keys: keys.unwrap_or_default(),
    };
    let head = crate::protocol::response::Head::new(200)
        .with(headers::CACHE_CONTROL, cache)
        .with(headers::CONTENT_TYPE, "application/jwk-set+json");
    Ok(Reply {
        head,
        body: serde_json::to_vec(&document).unwrap_or_default(),
        problem: None,
    })
}

fn rotate<E: Env>(
    core: &Core<E>,
    prefix: &str,
    attempt: &mut ControlAttempt,
) -> Result<Reply, Stop> {
    match signing::rotate_keys(core, prefix, &mut attempt.create.shared)? {
        Updated::Done(Rotated::Done) => {}
        Updated::Done(Rotated::TooSoon { wait_ms }) => {
            let detail = "The keys were rotated too often: another rotation would remove an old \
                          key that must still be published. Try again later.";
            let secs = wait_ms.div_ceil(1000).to_string();
            let problem =
                Problem::new(Code::TooManyRequests, detail).with_field(headers::RETRY_AFTER, secs);
            return Err(problem.into());
        }
        Updated::Done(Rotated::Given) => {
            let message = "The keys come from the variable webhook_signing_key. Rotate them there.";
            return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
        }
        Updated::Wait(ms) => return Err(Stop::Wait(ms)),
    }
    public_keys(core)
}
