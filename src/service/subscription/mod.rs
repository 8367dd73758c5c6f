//! Subscriptions (sections 6 and 7): control calls, and what follows from appends.
//!
//! `create`, `members` and `workers` are the calls; `link` and `wake` are what streams set off;
//! `announce` tells workers; `due` does what nobody asks for. All of it changes one subscription's
//! record at a time, by compare-and-swap, in `records`.

mod announce;
mod create;
mod doubt;
mod due;
mod link;
mod members;
mod records;
mod signing;
mod snapshot;
mod token;
mod wake;
mod workers;

pub(super) use create::CreateProgress;
pub(super) use doubt::Doubt;
pub(super) use wake::News;

use super::attempt::ControlAttempt;
use super::core::{Core, Fault};
use super::env::{Env, StoreError};
use super::reply::Reply;
use crate::access::Rights;
use crate::keys::NameHash;
use crate::protocol::control::{
    AckAsk, Ask, ClaimAsk, Refused, RefusedCode, SigningDocument, StreamsAsk, SubscriptionDocument,
    WakeRef, WebhookDocument,
};
use crate::protocol::name::RESERVED;
use crate::protocol::problem::{Code, Problem};
use crate::protocol::request::{Control, RawRequest, SubscriptionAction, WorkCall};
use crate::protocol::{headers, time};
use crate::subscription::{Delivery, Glob, Subscription};
use create::Creating;
use serde::Serialize;
use signing::Rotated;

/// What a step of a control call came to.
pub(super) enum Outcome {
    Reply(Reply),
    /// To be gone on with after so many milliseconds.
    Again(u64, Box<ControlAttempt>),
}

/// Why a step did not end.
enum Stop {
    Refused(Refused),
    Problem(Problem),
    Fault(Fault),
    /// Go on after so many milliseconds.
    Wait(u64),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Stop {
    fn missing(id: &str) -> Self {
        let message = format!("There is no subscription {id}");
        Refused::new(RefusedCode::SubscriptionNotFound, message).into()
    }

    fn forbidden(what: &str, name: &str) -> Self {
        let detail = format!("You may not {what} {name}.");
        Problem::new(Code::InsufficientScope, detail).into()
    }
}

/// A control call, as its request has it.
pub(super) struct Call<'a> {
    pub(super) raw: &'a RawRequest<'a>,
    pub(super) control: &'a Control,
    /// Of who sent it.
    pub(super) rights: &'a Rights,
    /// Scheme and authority it was sent to.
    pub(super) origin: &'a str,
}

/// Does a control call.
pub(super) fn control<E: Env>(
    core: Core<'_, E>,
    call: &Call<'_>,
    mut attempt: Box<ControlAttempt>,
) -> Outcome {
    core.aside.wrote.set(false);
    core.aside.commit.set(Some(attempt.commit));
    core.aside.doubt.set(attempt.doubt);
    let stop = match core.call(call, &mut attempt) {
        Ok(reply) => return Outcome::Reply(reply),
        Err(stop) => stop,
    };
    attempt.wrote |= core.aside.wrote.get();
    attempt.doubt = core.aside.doubt.get();
    let stop = core.definite(stop, &attempt);
    let again = match &stop {
        // Walking on is no waiting: as long as it goes on it may.
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
            .creation
            .extra_ms()
            .max(create.shared.creation.extra_ms());
        let end = attempt.deadline_ms.saturating_add(extra);
        if core.env.now_ms().saturating_add(wait) <= end {
            return Outcome::Again(wait, attempt);
        }
    }
    let instance = call.raw.target;
    Outcome::Reply(match stop {
        Stop::Refused(refused) => refusal(&refused),
        Stop::Problem(problem) => Reply::problem(&problem, instance),
        // A store that failed after that may have kept what it was sent.
        Stop::Fault(fault) if attempt.wrote && !matches!(fault, Fault::Corrupt { .. }) => {
            core.fault(&Fault::Unknown(fault.to_string()), instance)
        }
        Stop::Fault(fault) => core.fault(&fault, instance),
        Stop::Wait(_) => {
            let why = "the deadline ended with a change under way".to_owned();
            core.fault(&Fault::Unknown(why), instance)
        }
    })
}

fn refusal(refused: &Refused) -> Reply {
    let mut reply =
        Reply::write(refused.code.status()).with(headers::CONTENT_TYPE, "application/json");
    reply.body = refused.body();
    reply.problem = Some(refused.code.as_str());
    reply
}

/// A webhook is told URLs of this server, which has none that it knows.
fn nowhere_to_call() -> Refused {
    let message = "A webhook is told where to call back, but neither the request nor public_url \
                   says where this server is. Send Host";
    Refused::new(RefusedCode::InvalidRequest, message)
}

fn json(status: u16, document: &impl Serialize) -> Reply {
    let mut reply = Reply::write(status).with(headers::CONTENT_TYPE, "application/json");
    // Texts, numbers and flags always serialize.
    reply.body = serde_json::to_vec(document).unwrap_or_default();
    reply
}

impl<E: Env> Core<'_, E> {
    /// A refusal says that nothing was changed: if that is not sure, nobody knows.
    fn definite(&self, stop: Stop, attempt: &ControlAttempt) -> Stop {
        let (Stop::Refused(_) | Stop::Problem(_), Some(doubt)) = (&stop, &attempt.doubt) else {
            return stop;
        };
        let why = match self.may_land(doubt, attempt.commit) {
            Ok(false) => return stop,
            Ok(true) => "it was refused with a change of its own under way".to_owned(),
            Err(fault) => fault.to_string(),
        };
        Stop::Fault(Fault::Unknown(why))
    }

    fn call(&self, call: &Call<'_>, attempt: &mut ControlAttempt) -> Result<Reply, Stop> {
        let (id, action) = match call.control {
            Control::Keys => return self.public_keys(),
            Control::RotateKeys { .. } => return self.rotate(attempt),
            Control::Subscription { id, action } => (&**id, action),
        };
        let (raw, commit) = (call.raw, attempt.commit);
        let reply = match action {
            SubscriptionAction::Create => {
                let ask = Ask::parse(raw, self.config)?;
                if ask.config.is_webhook() && call.origin.is_empty() {
                    return Err(nowhere_to_call().into());
                }
                let creating = Creating {
                    id,
                    ask: &ask,
                    rights: call.rights,
                    origin: call.origin,
                    commit,
                    now_ms: attempt.now_ms,
                };
                let (new, subscription) =
                    self.create_subscription(&creating, &mut attempt.create)?;
                let status = if new { 201 } else { 200 };
                json(status, &self.describe(&subscription)?)
            }
            SubscriptionAction::Read => json(
                200,
                &self.describe(&*self.subscription_named(id, call.rights)?)?,
            ),
            SubscriptionAction::Delete => {
                let shared = &mut attempt.create.shared;
                let found = match attempt.ended {
                    // An earlier step may have done it.
                    Some(life) => life,
                    None => self.subscription_named(id, call.rights)?.life,
                };
                attempt.ended = Some(found);
                self.end_subscription(&NameHash::of(id), found, shared)?;
                Reply::write(204)
            }
            SubscriptionAction::AddStreams => {
                let asked = StreamsAsk::parse(raw, self.config)?;
                let progress = &mut attempt.create;
                self.add_streams(id, &asked.streams, call.rights, commit, progress)?;
                Reply::write(204)
            }
            SubscriptionAction::RemoveStream(name) => {
                let shared = &mut attempt.create.shared;
                self.remove_stream(id, name, call.rights, commit, shared)?;
                Reply::write(204)
            }
            SubscriptionAction::Claim => {
                let asked = ClaimAsk::parse(raw)?;
                json(200, &self.claim(id, &asked, call.rights, commit)?)
            }
            SubscriptionAction::Work { call: work, token } => {
                let token = token.as_deref();
                match work {
                    WorkCall::Release => {
                        self.release_wake(id, token, WakeRef::parse(raw)?, commit)?;
                        Reply::write(204)
                    }
                    WorkCall::Callback | WorkCall::Ack => {
                        let asked = AckAsk::parse(raw, self.config)?;
                        json(200, &self.ack_wake(id, *work, token, &asked, commit)?)
                    }
                }
            }
        };
        Ok(reply)
    }

    /// Where the control calls are, for those who work for a subscription.
    fn control_url(&self, subscription: &Subscription) -> String {
        let origin = match &*self.config.public_url {
            "" => &subscription.origin,
            public => public,
        };
        format!("{origin}{}/{RESERVED}", self.config.base_path)
    }

    fn describe(&self, subscription: &Subscription) -> Result<SubscriptionDocument, Stop> {
        let config = &subscription.config;
        let (webhook, wake_stream) = match &config.delivery {
            Delivery::PullWake { wake_stream } => (None, Some(wake_stream.clone())),
            Delivery::Webhook { url } => {
                let signing = self.keyring()?.map(|keyring| SigningDocument {
                    alg: "ed25519",
                    kid: keyring.kid(),
                    jwks_url: format!("{}/jwks.json", self.control_url(subscription)),
                });
                let url = url.clone();
                (Some(WebhookDocument { url, signing }), None)
            }
        };
        let linked = self.snapshot(subscription)?;
        Ok(SubscriptionDocument {
            id: subscription.id.clone(),
            subscription_id: subscription.id.clone(),
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

    fn public_keys(&self) -> Result<Reply, Stop> {
        let keyring = self.keyring()?;
        // Before there is a key nobody needs one, and an empty set must not be kept.
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

    fn rotate(&self, attempt: &mut ControlAttempt) -> Result<Reply, Stop> {
        use super::update::Updated;
        match self.rotate_keys(&mut attempt.create.shared)? {
            Updated::Done(Rotated::Done) => {}
            Updated::Done(Rotated::TooSoon { wait_ms }) => {
                let detail = "The keys were rotated so often that an old one, which is still to be \
                              published, would have to go. Try again later.";
                let secs = wait_ms.div_ceil(1000).to_string();
                let problem = Problem::new(Code::TooManyRequests, detail)
                    .with_field(headers::RETRY_AFTER, secs);
                return Err(problem.into());
            }
            Updated::Done(Rotated::Given) => {
                let message =
                    "The keys are those of the variable webhook_signing_key. Rotate them there.";
                return Err(Refused::new(RefusedCode::InvalidRequest, message).into());
            }
            Updated::Wait(ms) => return Err(Stop::Wait(ms)),
        }
        self.public_keys()
    }
}
