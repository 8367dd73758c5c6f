//! Heads that planted bugs write, and their effects on the store.

use crate::planted::Planted;
use crate::sim::Sim;
use durable_streams_edge::keys::Envelope;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::stream::{ForkStep, Head, Reason, Timelines};
use kv_model::{Held, Seen};
use std::rc::Rc;

/// Renewals by planted bugs that are closer together would keep readers busy.
const RENEWAL_PAUSE_MS: u64 = 500;

/// Whether a head's bytes say that its stream was deleted.
pub(crate) fn is_tombstone(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::decode(bytes) else {
        return false;
    };
    let record = Record::decode(&envelope.body, envelope.version);
    matches!(record, Ok(Record::Tombstone(_)))
}

/// The head in a record's bytes, if its stream is live.
fn live(bytes: &[u8]) -> Option<(Envelope, Box<Head>)> {
    let envelope = Envelope::decode(bytes).ok()?;
    match Record::decode(&envelope.body, envelope.version).ok()? {
        Record::Live(head) => Some((envelope, head)),
        Record::Tombstone(_) => None,
    }
}

/// The bytes of a record with another head.
fn with_head(envelope: Envelope, head: Box<Head>) -> Vec<u8> {
    let body = Record::Live(head).encode().into();
    Envelope { body, ..envelope }.encode()
}

/// Whether a swap closes a stream because its lease has lapsed.
pub(crate) fn is_lapse(seen: Option<&Seen>, value: &[u8]) -> bool {
    let lapsed = |bytes: &[u8]| {
        live(bytes).is_some_and(|(_, head)| head.close_reason() == Some(Reason::LEASE_EXPIRED))
    };
    let before = seen.and_then(|seen| seen.value.as_deref());
    lapsed(value) && !before.is_some_and(lapsed)
}

/// Renews the lease in the head at `key`, if the stream has one.
pub(crate) fn renew(sim: &Rc<Sim>, key: &str, clock_ms: u64) {
    change_head(sim, key, |head| match &mut head.lease {
        Some(lease) if lease.renewed_ms + RENEWAL_PAUSE_MS < clock_ms => {
            lease.renewed_ms = clock_ms;
            true
        }
        _ => false,
    });
}

/// Renews the lease of the stream `name`.
pub(crate) fn renew_by_name(sim: &Rc<Sim>, name: &str, clock_ms: u64) {
    if let Some(key) = key_of(sim, name) {
        renew(sim, &key, clock_ms);
    }
}

/// Replaces the reason of the stream `name`, if it is closed.
pub(crate) fn replace_reason(sim: &Rc<Sim>, name: &str, reason: &str) {
    let Some(key) = key_of(sim, name) else { return };
    change_head(sim, &key, |head| match &mut head.closed {
        Some(closed) => {
            closed.reason = Reason::parse(reason).ok();
            true
        }
        None => false,
    });
}

fn key_of(sim: &Sim, name: &str) -> Option<String> {
    let store = sim.store.borrow();
    let mut heads = store.model().entries().filter_map(|(key, held)| {
        let is_head = key.starts_with("s.");
        match held {
            Held::Value(value) if is_head => Some((key, value)),
            _ => None,
        }
    });
    let found = heads.find(|(_, value)| live(value).is_some_and(|(_, head)| head.name == name));
    found.map(|(key, _)| key.to_owned())
}

/// Changes the head at `key` past all rules of the store, if `change` returns true.
fn change_head(sim: &Rc<Sim>, key: &str, change: impl FnOnce(&mut Head) -> bool) {
    let seen = sim.store.borrow().model().see(key);
    let Some((envelope, mut head)) = seen.value.as_deref().and_then(live) else {
        return;
    };
    if change(&mut head) {
        let bytes = with_head(envelope, head);
        sim.act(|store| store.force(key, Some(bytes)));
    }
}

/// The head that the planted bug writes instead, if it changes this one.
pub(crate) fn forge(sim: &Sim, seen: Option<&Seen>, value: &[u8]) -> Option<Vec<u8>> {
    use Planted::{
        ForkCountedTwice, ForkGivenUp, ForkNotCounted, ForkStaysCounted, LeaseForgotten,
        RenewalForgotten, TimelinesForgotten,
    };
    let planted = sim.planted?;
    if !matches!(
        planted,
        ForkNotCounted
            | ForkCountedTwice
            | ForkStaysCounted
            | ForkGivenUp
            | TimelinesForgotten
            | LeaseForgotten
            | RenewalForgotten
    ) {
        return None;
    }
    let (envelope, mut head) = live(value)?;
    let before = seen.and_then(|seen| live(seen.value.as_deref()?));
    let counted = before.as_ref().map_or(0, |(_, before)| before.forks.count);
    let leased = before.and_then(|(_, before)| before.lease);
    let forks = &mut head.forks;
    match planted {
        ForkNotCounted if forks.count > counted => forks.count = counted,
        ForkCountedTwice if forks.count > counted => forks.count += 1,
        ForkStaysCounted if forks.count < counted => forks.count = counted,
        TimelinesForgotten if !head.timelines.is_empty() => head.timelines = Timelines::default(),
        ForkGivenUp => {
            forks.steps.retain(|(_, step)| *step != ForkStep::Joining);
            if let Some(lineage) = &mut head.lineage {
                lineage.pending = false;
            }
        }
        LeaseForgotten if leased.is_some() && sim.chance(300) => head.lease = None,
        RenewalForgotten => {
            let (Some(lease), Some(before)) = (&mut head.lease, leased) else {
                return None;
            };
            lease.renewed_ms = before.renewed_ms;
        }
        _ => return None,
    }
    Some(with_head(envelope, head))
}
