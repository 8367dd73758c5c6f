//! Closes streams whose writer's lease has lapsed. The close is always a commit: a stream is open
//! until a head says that it is closed.

use super::core::Core;
use super::env::Env;
use super::fault::Fault;
use super::heads::{Lookup, decode, find, put};
use super::{log, report};
use crate::keys::Slot;
use crate::keys::head::Record;
use crate::limits::LAPSE_RETRY_MS;
use crate::stream::{Head, LeaseRules, Reason};

/// Reads of the head in one step: another instance may have committed between two of them.
const TRIES: usize = 2;

/// The rules by which this instance judges leases.
pub(super) fn rules<E: Env>(core: &Core<E>) -> LeaseRules {
    let since = core.config.serving_since_ms;
    LeaseRules {
        skew_ms: core.config.lease_skew_ms,
        serving_since_ms: (since > 0).then_some(since),
    }
}

/// Whether `head` needs a commit of the server: its lease has lapsed, or was renewed by a clock that
/// was ahead.
pub(super) fn is_due<E: Env>(core: &Core<E>, head: &Head, clock_ms: u64) -> bool {
    let is_ahead = head
        .lease
        .is_some_and(|lease| lease.is_ahead(clock_ms) && head.closed.is_none());
    is_ahead || head.has_lapsed(clock_ms, rules(core))
}

/// Makes the commit that `head` needs, for the stream in `slot`. Returns the present head. If the
/// commit failed, the head still needs it, and the stream is open.
pub(super) fn settle<E: Env>(core: &Core<E>, slot: &Slot, head: Head, clock_ms: u64) -> Head {
    if !is_due(core, &head, clock_ms) {
        return head;
    }
    match try_settle(core, slot, &head, clock_ms) {
        Ok(Some(settled)) => settled,
        Ok(None) => head,
        Err(fault) => {
            report::note_fault(core, &fault);
            head
        }
    }
}

fn try_settle<E: Env>(
    core: &Core<E>,
    slot: &Slot,
    head: &Head,
    clock_ms: u64,
) -> Result<Option<Head>, Fault> {
    let mut sent = false;
    let mut settled = None;
    for _ in 0..TRIES {
        let Lookup::Found {
            gate,
            cas,
            envelope,
        } = find(core, slot)?
        else {
            break;
        };
        let mut present = match decode(slot, gate, &envelope)? {
            Record::Live(present) if present.incarnation == head.incarnation => present,
            Record::Live(_) | Record::Tombstone(_) => break,
        };
        if !is_due(core, &present, clock_ms) {
            settled = Some(*present);
            break;
        }
        if !present.correct_lease(clock_ms) {
            present.lapse();
        }
        sent = true;
        if put(core, cas, present.clone())? {
            present.version = present.version.saturating_add(1);
            settled = Some(*present);
            break;
        }
        // Some stores report an applied swap as failed: the next read shows it.
    }
    let is_lapsed = |head: &Head| head.close_reason() == Some(Reason::LEASE_EXPIRED);
    match &settled {
        Some(head) if sent && is_lapsed(head) => log::lapsed(core, &head.name, true),
        None if sent => log::lapsed(core, &head.name, false),
        _ => {}
    }
    Ok(settled)
}

/// How long a live reader of `head` may wait because of the lease, in milliseconds from `clock_ms`:
/// until the lease lapses. After `failed` closes that could not be committed, until the next try.
pub(super) fn max_wait_ms<E: Env>(
    core: &Core<E>,
    head: &Head,
    clock_ms: u64,
    failed: u8,
) -> Option<u64> {
    let lapses = head.lapses_ms(clock_ms, rules(core))?;
    if lapses > clock_ms {
        // Where readers poll, all of them see the end at the same time. The first one closes the
        // stream, and the others find it closed.
        let spread = match core.env.polls() {
            true => core.jitter(core.config.poll_max_ms),
            false => 0,
        };
        return Some(lapses.saturating_sub(clock_ms).saturating_add(spread));
    }
    let (least, most) = LAPSE_RETRY_MS;
    let doubled = least.checked_shl(u32::from(failed.saturating_sub(1)));
    Some(doubled.unwrap_or(most).min(most))
}
