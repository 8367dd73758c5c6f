//! `GET {base_path}/__ds/subscriptions`: lists subscriptions, page by page, in the order of their
//! lives.

use super::cursor::Cursor;
use super::page::Page;
use super::sources::is_damage;
use super::stop::Stop;
use crate::access::Rights;
use crate::keys::NameHash;
use crate::keys::subscriptions::Entry;
use crate::protocol::control::{
    ListedSubscription, PageAsk, SubscriptionsDocument, WebhookDocument,
};
use crate::protocol::request::RawRequest;
use crate::protocol::time;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::reply::Reply;
use crate::service::{report, subscription};
use crate::subscription::{Delivery, Glob, Phase, Subscription, id};

pub(super) fn list<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    rights: &Rights,
) -> Result<Reply, Stop> {
    let asked = PageAsk::parse(raw)?;
    let after = match &asked.after {
        None => None,
        Some(text) => match Cursor::decode(text) {
            Some(Cursor::Subscriptions(life)) => Some(life),
            _ => return Err(PageAsk::no_cursor().into()),
        },
    };
    let mut entries: Vec<Entry> = subscription::subscriptions(core)?;
    entries.retain(|entry| after.is_none_or(|after| entry.life > after));
    entries.sort_unstable_by_key(|entry| entry.life);
    let mut page = Page::new(asked.limit);
    let mut last = None;
    // Records that the caller may not see count too, so that the page is bounded.
    for entry in entries.iter().take(asked.limit) {
        if page.is_full() {
            break;
        }
        last = Some(entry.life);
        let hash = NameHash::from_bytes(entry.subscription);
        match subscription::subscription(core, &hash, Some(entry.life)) {
            Ok(Some(found)) if rights.covers(&found.rights.prefix) => page.push(&render(&found)),
            Ok(_) => {}
            // One damaged record must not hide all subscriptions behind it.
            Err(fault) if is_damage(&fault) => report::note_fault(core, &fault),
            Err(fault) => return Err(fault.into()),
        }
    }
    let is_end = entries.last().map(|entry| entry.life) == last;
    let next = last.filter(|_| !is_end);
    let document = SubscriptionsDocument {
        subscriptions: page.into_entries(),
        next: next.map(|life| Cursor::Subscriptions(life).encode()),
    };
    Ok(Reply::json(200, &document))
}

fn render(subscription: &Subscription) -> ListedSubscription<'_> {
    let config = &subscription.config;
    let (webhook, wake_stream) = match &config.delivery {
        Delivery::PullWake { wake_stream } => (None, Some(&**wake_stream)),
        Delivery::Webhook { url } => {
            let (url, signing) = (url.clone(), None);
            (Some(WebhookDocument { url, signing }), None)
        }
    };
    let (phase, worker, lease_ms, delivery_ms) = match &subscription.phase {
        Phase::Idle => ("idle", None, None, None),
        Phase::Waking {
            lease_ms,
            attempt_ms,
            ..
        } => ("waking", None, *lease_ms, *attempt_ms),
        Phase::Held {
            worker, lease_ms, ..
        } => ("held", Some(&**worker), Some(*lease_ms), None),
    };
    ListedSubscription {
        id: id::given(&subscription.id),
        prefix: &subscription.rights.prefix,
        kind: match config.is_webhook() {
            true => "webhook",
            false => "pull-wake",
        },
        pattern: config.pattern.as_ref().map(Glob::as_str),
        streams: subscription.links.len(),
        webhook,
        wake_stream,
        phase,
        generation: subscription.generation,
        worker,
        lease_ends_at: lease_ms.map(time::format),
        next_delivery_at: delivery_ms.map(time::format),
        status: match subscription.is_failing() {
            true => "failed",
            false => "active",
        },
        failures: subscription.failures,
        lease_ttl_ms: config.lease_ttl_ms,
        created_at: time::format(subscription.created_ms),
        description: config.description.as_deref(),
    }
}
