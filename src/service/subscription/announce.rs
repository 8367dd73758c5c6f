//! Notifies workers of a wake: by an event in the wake stream, or by a request to the webhook.

use super::records::{Change, Changed};
use super::sent::Sent;
use super::streams::Linked;
use super::{records, signing, streams, token};
use crate::keys::NameHash;
use crate::limits::{WAKE_KEEP_MS, WEBHOOK_TIMEOUT_MS};
use crate::protocol::control::{WakeDocument, WakeEvent, wake_id};
use crate::protocol::name::RESERVED;
use crate::protocol::packed::Fields;
use crate::protocol::{headers, name};
use crate::service::append::{AppendResult as Appended, Call};
use crate::service::attempt::AppendAttempt;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::exchange::Delivery as Effect;
use crate::service::fault::Fault;
use crate::service::progress::{Commit, News};
use crate::service::{append, transient};
use crate::stream::{Append, Payload, Producer};
use crate::subscription::{Delivery, Fence, Subscription, id};

/// Notifies workers of the current wake, which events of the stream `name` caused. Returns the news
/// of the append to the wake stream, if any.
pub(super) fn announce<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
    name: &str,
) -> Result<Option<News>, Fault> {
    let Some(fence) = subscription.fence() else {
        return Ok(None);
    };
    let result = match &subscription.config.delivery {
        Delivery::Webhook { url } => {
            send(core, effects, subscription, url, fence).map(|()| Ok(None))
        }
        Delivery::PullWake { wake_stream } => {
            write_event(core, subscription, wake_stream, fence, name)
        }
    };
    match result {
        Ok(Ok(news)) => Ok(news),
        Ok(Err(NotWritten)) => {
            put_off(
                core,
                effects,
                &NameHash::of_subscription(&subscription.id),
                subscription.life,
                fence,
            )?;
            Ok(None)
        }
        Err(fault) => {
            // While the store fails, this write fails too; the lease or the walk brings the next
            // try.
            let _ = put_off(
                core,
                effects,
                &NameHash::of_subscription(&subscription.id),
                subscription.life,
                fence,
            );
            Err(fault)
        }
    }
}

/// Notes that workers could not be notified of the wake.
pub(super) fn put_off<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    hash: &NameHash,
    life: u64,
    fence: Fence,
) -> Result<(), Fault> {
    let random = core.env.random();
    let mut commit = Commit::new(random);
    let changed = records::change(core, hash, life, &mut commit, |subscription| {
        let failed = subscription.failed(fence, core.env.now_ms(), random);
        if failed.is_err() {
            return Ok(Change::Keep);
        }
        records::note_wake(core, hash, subscription)?;
        Ok(Change::Write)
    })?;
    if let Changed::Written(subscription) | Changed::Kept(subscription) = changed {
        effects.expect(subscription.due_ms());
    }
    Ok(())
}

/// Appends the event of a wake to its stream, once, even if it is called repeatedly.
fn write_event<E: Env>(
    core: &Core<E>,
    subscription: &Subscription,
    wake_stream: &str,
    fence: Fence,
    name: &str,
) -> Result<Result<Option<News>, NotWritten>, Fault> {
    let hash = NameHash::of(wake_stream);
    let Some(head) = streams::linked_head(core, hash.bytes())? else {
        return Ok(Err(NotWritten));
    };
    let allowed = subscription
        .rights
        .allow(crate::access::Scope::Write, wake_stream);
    if head.name != wake_stream || head.closed.is_some() || !allowed {
        return Ok(Err(NotWritten));
    }
    let event = WakeEvent {
        kind: "wake",
        subscription_id: id::given(&subscription.id),
        stream: name,
        generation: fence.generation,
        ts: core.env.now_ms(),
    };
    let mut bytes = serde_json::to_vec(&event).unwrap_or_default();
    let payload = match head.content_type.is_json() {
        true => {
            bytes.push(b',');
            let ends = vec![bytes.len()];
            Payload::Messages { bytes, ends }
        }
        false => {
            bytes.push(b'\n');
            Payload::Bytes(bytes)
        }
    };
    let producer = Producer {
        // No client can send this producer id: a header has no control characters.
        id: format!(
            "\u{1}wake {:016x} {}",
            subscription.life,
            id::given(&subscription.id)
        ),
        epoch: fence.generation,
        seq: 0,
    };
    let call = Call {
        append: Append {
            payload: Some(Ok(payload)),
            content_type: Some(head.content_type.clone()),
            producer: Some(producer),
            keep_ms: WAKE_KEEP_MS,
            ..Append::default()
        },
        instance: "",
    };
    let slot = core.keys.head(&hash);
    let mut attempt = AppendAttempt::new(&core.config, core.env.now_ms());
    for _ in 0..2 {
        let calls = std::slice::from_ref(&call);
        match append::append(core, wake_stream, &slot, calls, attempt) {
            Appended::Replies(replies, after) => {
                let status = replies.first().map_or(503, |reply| reply.head.status);
                // Fenced: workers were already notified of a later wake.
                let is_notified = matches!(status, 200 | 204 | 403);
                return Ok(match is_notified {
                    true => Ok(after.news),
                    false => Err(NotWritten),
                });
            }
            Appended::Again(_, next) => attempt = next,
        }
    }
    Ok(Err(NotWritten))
}

/// Queues a request to the webhook; the driver sends it once the step is over.
fn send<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
    url: &str,
    fence: Fence,
) -> Result<(), Fault> {
    let Some(keyring) = signing::keyring(core)? else {
        return Err(Fault::Deadline("there are no signing keys"));
    };
    let linked = streams::snapshot(core, subscription)?;
    let now_ms = core.env.now_ms();
    let document = WakeDocument {
        subscription_id: id::given(&subscription.id),
        wake_id: wake_id(fence.wake),
        generation: fence.generation,
        streams: linked.iter().map(|one| one.document(true)).collect(),
        callback_url: format!(
            "{}/subscriptions/{}/callback",
            control_url(core, subscription),
            name::encode(id::given(&subscription.id))
        ),
        callback_token: token::issue(&keyring, subscription, now_ms),
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let signature = keyring.sign(now_ms / 1000, &body);
    let mut fields = Fields::default();
    fields.push(headers::CONTENT_TYPE, "application/json");
    fields.push(headers::WEBHOOK_SIGNATURE, signature);
    let pending = linked.iter().filter(|one| one.is_pending());
    let sent = Sent {
        subscription: NameHash::of_subscription(&subscription.id),
        life: subscription.life,
        fence,
        acks: pending.map(Linked::acked_to_its_tail).collect(),
    };
    let lease_ms = subscription.config.lease_ttl_ms;
    effects.deliver(Effect {
        url: url.to_owned(),
        headers: fields,
        body,
        // After the lease the answer has no use.
        timeout_ms: lease_ms.min(WEBHOOK_TIMEOUT_MS),
        token: transient::encode(&sent),
    });
    Ok(())
}

/// The wake stream accepts no event now.
struct NotWritten;

/// Base URL of the control calls, for the workers of a subscription.
pub(super) fn control_url<E: Env>(core: &Core<E>, subscription: &Subscription) -> String {
    let origin = match &*core.config.public_url {
        "" => &subscription.origin,
        public => public,
    };
    format!("{origin}{}/{RESERVED}", core.config.base_path)
}
