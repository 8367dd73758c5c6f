//! Wakes of subscriptions with pending events, and the work that is due for a subscription.
//!
//! The order that loses no wake: an append is committed, then the subscription is read; a
//! subscription becomes idle, then the tails are read. So of an append and a release that cross,
//! one sees the other. If a step stops in between, the walk in `due.rs` finds the pending events.

use super::records::{Change, Changed};
use super::{announce, records, streams};
use crate::keys::NameHash;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::progress::{Commit, News};
use crate::subscription::Subscription;

/// Wakes an idle subscription that has pending events.
pub(super) fn wake_pending<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
) -> Result<Done, Fault> {
    if !subscription.is_idle() || !subscription.backfilled {
        return Ok(Done::NOTHING);
    }
    let Some(pending) = streams::pending(core, subscription)? else {
        return Ok(Done::NOTHING);
    };
    let hash = NameHash::of_subscription(&subscription.id);
    let mut commit = Commit::new(core.env.random());
    let wake = core.env.random();
    let changed = records::change(
        core,
        &hash,
        subscription.life,
        &mut commit,
        |subscription| {
            Ok(match subscription.wake(wake, core.env.now_ms()) {
                true => {
                    // A step may have stopped before it moved the cursor to the current life. No
                    // ack would move it.
                    pending.follow(&mut subscription.links);
                    records::note_wake(core, &hash, subscription)?;
                    Change::Write
                }
                false => Change::Keep,
            })
        },
    )?;
    Ok(match changed {
        Changed::Written(subscription) if is_wake(&subscription, wake) => Done::with(
            announce::announce(core, effects, &subscription, &pending.name)?,
        ),
        // Another step woke it.
        Changed::Kept(_) => Done::with(None),
        Changed::Written(_) | Changed::Missing | Changed::Busy => Done::NOTHING,
    })
}

/// Result of work for a subscription.
pub(super) struct Done {
    /// Whether there was something to do.
    pub(super) worked: bool,
    /// News of the wake event that was appended, for the subscriptions linked to its stream.
    pub(super) news: Option<News>,
}

impl Done {
    pub(super) const NOTHING: Self = Self {
        worked: false,
        news: None,
    };

    pub(super) const fn with(news: Option<News>) -> Self {
        Self { worked: true, news }
    }
}

/// Whether `wake` is the current wake.
pub(super) fn is_wake(subscription: &Subscription, wake: u64) -> bool {
    subscription.fence().is_some_and(|fence| fence.wake == wake)
}

/// Does the work that is due for a subscription, if any.
pub(super) fn look_after<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    subscription: &Subscription,
) -> Result<Done, Fault> {
    let now_ms = core.env.now_ms();
    match subscription.due_ms() {
        Some(due_ms) if due_ms <= now_ms || subscription.is_ahead(now_ms) => {}
        due_ms => {
            effects.expect(due_ms);
            return Ok(Done::NOTHING);
        }
    }
    let hash = NameHash::of_subscription(&subscription.id);
    let mut commit = Commit::new(core.env.random());
    let mut again = false;
    let changed = records::change(
        core,
        &hash,
        subscription.life,
        &mut commit,
        |subscription| {
            let clamped = subscription.clamp(now_ms);
            again = subscription.try_again(now_ms);
            Ok(match again || subscription.expire(now_ms) || clamped {
                true => Change::Write,
                false => Change::Keep,
            })
        },
    )?;
    let Changed::Written(subscription) = changed else {
        return Ok(Done::NOTHING);
    };
    effects.expect(subscription.due_ms());
    if !again {
        let news = wake_pending(core, effects, &subscription)?.news;
        return Ok(Done::with(news));
    }
    // The stream that caused the wake is not recorded; any pending stream serves as well.
    let pending = streams::pending(core, &subscription)?;
    let name = pending.map_or_else(String::new, |pending| pending.name);
    let Some(fence) = subscription.fence() else {
        return Ok(Done::with(None));
    };
    let failures = subscription.failures;
    let news = announce::announce(core, effects, &subscription, &name)?;
    if !subscription.config.is_webhook() {
        let mut commit = Commit::new(core.env.random());
        records::change(
            core,
            &hash,
            subscription.life,
            &mut commit,
            |subscription| {
                // Unless this try failed too, and was counted.
                if subscription.failures > failures {
                    return Ok(Change::Keep);
                }
                Ok(match subscription.delivered(fence) {
                    Ok(true) => Change::Write,
                    Ok(false) | Err(_) => Change::Keep,
                })
            },
        )?;
    }
    Ok(Done::with(news))
}
