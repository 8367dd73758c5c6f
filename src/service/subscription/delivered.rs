//! Handles the outcome of a request to a webhook.

use super::records::{Change, Changed};
use super::sent::Sent;
use super::{announce, records, spread};
use crate::limits::WEBHOOK_ANSWER_BYTES;
use crate::protocol::control::WebhookAnswer;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::exchange::DeliveryResult;
use crate::service::fault::Fault;
use crate::service::progress::Commit;
use crate::service::transient;
use crate::subscription::Acked;

/// Continues when the outcome of a delivery is known.
pub(in crate::service) fn delivered<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    token: &[u8],
    outcome: &DeliveryResult,
) -> Result<(), Fault> {
    let Ok(sent) = transient::decode::<Sent>(token) else {
        return Ok(());
    };
    let hash = sent.subscription;
    let done = match outcome {
        DeliveryResult::Answered { status, body } if (200..300).contains(status) => {
            let whole = body.get(..WEBHOOK_ANSWER_BYTES).unwrap_or(body);
            WebhookAnswer::parse(whole).done
        }
        DeliveryResult::Answered { .. } | DeliveryResult::Failed => {
            return announce::put_off(core, effects, &hash, sent.life, sent.fence);
        }
    };
    let mut commit = Commit::new(core.env.random());
    let changed = records::change(core, &hash, sent.life, &mut commit, |subscription| {
        if !done {
            let result = subscription.delivered(sent.fence);
            return Ok(match result {
                Ok(true) => Change::Write,
                Ok(false) | Err(_) => Change::Keep,
            });
        }
        // A stream that was unlinked meanwhile has no cursor to move.
        let linked = |ack: &&Acked| subscription.links.get(&ack.stream).is_some();
        let acks: Vec<Acked> = sent.acks.iter().filter(linked).copied().collect();
        let acked = subscription.ack(sent.fence, &acks, true, core.env.now_ms());
        Ok(match acked {
            Ok(()) => Change::Write,
            Err(_) => Change::Keep,
        })
    })?;
    if let Changed::Written(subscription) = changed {
        effects.expect(subscription.due_ms());
        spread::rouse(core, effects, &subscription)?;
    }
    Ok(())
}
