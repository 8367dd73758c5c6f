//! Telling workers of a wake: an event in the wake stream, or a request to the webhook.

use super::records::{Change, Changed};
use super::snapshot::Linked;
use super::token;
use super::wake::News;
use crate::keys::codec::{Reader, Writer};
use crate::keys::{Corrupt, NameHash};
use crate::limits::{WEBHOOK_ANSWER_BYTES, WEBHOOK_TIMEOUT_MS};
use crate::protocol::control::{WakeDocument, WakeEvent, WebhookAnswer, wake_id};
use crate::protocol::packed::Fields;
use crate::protocol::{headers, name};
use crate::service::append::{self, Call, Outcome as Appended};
use crate::service::attempt::AppendAttempt;
use crate::service::core::{Core, Fault};
use crate::service::env::Env;
use crate::service::exchange::{Delivery as Effect, Outcome};
use crate::stream::{Append, Payload, Position, Producer};
use crate::subscription::{Acked, Delivery, Fence, Subscription};

/// What the outcome of a delivery is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    subscription: NameHash,
    life: u64,
    fence: Fence,
    /// Streams with pending events, and the tails that were told: what is acked if it is done.
    acks: Vec<Acked>,
}

impl Sent {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.raw(self.subscription.bytes());
        writer.fixed(self.life);
        writer.varint(self.fence.generation);
        writer.fixed(self.fence.wake);
        writer.many(self.acks.iter(), |writer, ack| {
            writer.raw(&ack.stream);
            writer.varint(ack.to.segment);
            writer.varint(ack.to.byte);
            writer.option(ack.life.as_ref(), |writer, life| writer.raw(life));
        });
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let sent = Self {
            subscription: NameHash::from_bytes(reader.array()?),
            life: reader.fixed()?,
            fence: Fence {
                generation: reader.varint()?,
                wake: reader.fixed()?,
            },
            acks: reader.many(|reader| {
                Ok(Acked {
                    stream: reader.array()?,
                    to: Position::new(reader.varint()?, reader.varint()?),
                    life: reader.option(Reader::array)?,
                })
            })?,
        };
        reader.end().map(|()| sent)
    }
}

impl<E: Env> Core<'_, E> {
    /// Tells workers of the wake under way, which events of the stream `name` brought about. Says
    /// what was appended for that.
    pub(super) fn announce(
        &self,
        subscription: &Subscription,
        name: &str,
    ) -> Result<Option<News>, Fault> {
        let Some(fence) = subscription.fence() else {
            return Ok(None);
        };
        let told = match &subscription.config.delivery {
            Delivery::Webhook { url } => self.send(subscription, url, fence).map(|()| Ok(None)),
            Delivery::PullWake { wake_stream } => {
                self.write_event(subscription, wake_stream, fence, name)
            }
        };
        match told {
            Ok(Ok(news)) => Ok(news),
            Ok(Err(NotWritten)) => {
                self.put_off(&NameHash::of(&subscription.id), subscription.life, fence)?;
                Ok(None)
            }
            Err(fault) => {
                // While the store fails this will too; the lease or the walk brings the next try.
                let _ = self.put_off(&NameHash::of(&subscription.id), subscription.life, fence);
                Err(fault)
            }
        }
    }

    /// Notes that the wake could not be told.
    fn put_off(&self, hash: &NameHash, life: u64, fence: Fence) -> Result<(), Fault> {
        let random = self.env.random();
        let changed = self.change(hash, life, random, |subscription| {
            let failed = subscription.failed(fence, self.env.now_ms(), random);
            if failed.is_err() {
                return Ok(Change::Keep);
            }
            self.note_wake(hash, subscription)?;
            Ok(Change::Write)
        })?;
        if let Changed::Written(subscription) | Changed::Kept(subscription) = changed {
            self.expect(subscription.due_ms());
        }
        Ok(())
    }

    /// Appends the event of a wake to its stream, once, however often this is called for it.
    fn write_event(
        &self,
        subscription: &Subscription,
        wake_stream: &str,
        fence: Fence,
        name: &str,
    ) -> Result<Result<Option<News>, NotWritten>, Fault> {
        let hash = NameHash::of(wake_stream);
        let Some(head) = self.linked_head(hash.bytes())? else {
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
            subscription_id: &subscription.id,
            stream: name,
            generation: fence.generation,
            ts: self.env.now_ms(),
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
            // No client can send this name: a header has no control characters.
            id: format!("\u{1}wake {:016x} {}", subscription.life, subscription.id),
            epoch: fence.generation,
            seq: 0,
        };
        let call = Call {
            append: Append {
                payload: Some(Ok(payload)),
                content_type: Some(head.content_type.clone()),
                seq: None,
                producer: Some(producer),
                close: false,
            },
            instance: "",
        };
        let slot = self.keys.head(&hash);
        let mut attempt = AppendAttempt::new(self.config, self.env.now_ms());
        for _ in 0..2 {
            let calls = std::slice::from_ref(&call);
            match append::append(*self, wake_stream, &slot, calls, attempt) {
                Appended::Replies(replies, news) => {
                    let status = replies.first().map_or(503, |reply| reply.head.status);
                    // Fenced: a later wake was told already.
                    let told = matches!(status, 200 | 204 | 403);
                    return Ok(match told {
                        true => Ok(news),
                        false => Err(NotWritten),
                    });
                }
                Appended::Again(_, next) => attempt = next,
            }
        }
        Ok(Err(NotWritten))
    }

    /// Has a request sent to the webhook, once the step is over.
    fn send(&self, subscription: &Subscription, url: &str, fence: Fence) -> Result<(), Fault> {
        let Some(keyring) = self.keyring()? else {
            return Err(Fault::Deadline("there are no signing keys"));
        };
        let linked = self.snapshot(subscription)?;
        let now_ms = self.env.now_ms();
        let document = WakeDocument {
            subscription_id: &subscription.id,
            wake_id: wake_id(fence.wake),
            generation: fence.generation,
            streams: linked.iter().map(|one| one.document(true)).collect(),
            callback_url: format!(
                "{}/subscriptions/{}/callback",
                self.control_url(subscription),
                name::encode(&subscription.id)
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
            subscription: NameHash::of(&subscription.id),
            life: subscription.life,
            fence,
            acks: pending.map(Linked::acked_to_its_tail).collect(),
        };
        let lease_ms = subscription.config.lease_ttl_ms;
        self.effect(Effect {
            url: url.to_owned(),
            headers: fields,
            body,
            // Longer than the lease nobody would care for the answer.
            timeout_ms: lease_ms.min(WEBHOOK_TIMEOUT_MS),
            token: sent.encode(),
        });
        Ok(())
    }

    /// Goes on when the outcome of a delivery is known.
    pub(in crate::service) fn delivered(
        &self,
        token: &[u8],
        outcome: &Outcome,
    ) -> Result<(), Fault> {
        let Ok(sent) = Sent::decode(token) else {
            return Ok(());
        };
        let hash = sent.subscription;
        let done = match outcome {
            Outcome::Answered { status, body } if (200..300).contains(status) => {
                let whole = body.get(..WEBHOOK_ANSWER_BYTES).unwrap_or(body);
                WebhookAnswer::parse(whole).done
            }
            Outcome::Answered { .. } | Outcome::Failed => {
                return self.put_off(&hash, sent.life, sent.fence);
            }
        };
        let commit = self.env.random();
        let changed = self.change(&hash, sent.life, commit, |subscription| {
            if !done {
                let told = subscription.told(sent.fence);
                return Ok(match told {
                    Ok(true) => Change::Write,
                    Ok(false) | Err(_) => Change::Keep,
                });
            }
            // A stream that was unlinked meanwhile has no cursor to move.
            let linked = |ack: &&Acked| subscription.links.get(&ack.stream).is_some();
            let acks: Vec<Acked> = sent.acks.iter().filter(linked).copied().collect();
            let acked = subscription.ack(sent.fence, &acks, true, self.env.now_ms());
            Ok(match acked {
                Ok(()) => Change::Write,
                Err(_) => Change::Keep,
            })
        })?;
        if let Changed::Written(subscription) = changed {
            self.expect(subscription.due_ms());
            self.rouse(&subscription)?;
        }
        Ok(())
    }
}

/// The wake stream takes no event now.
struct NotWritten;
