//! Rules about writers' leases, and reasons of closes.
//!
//! A request *sets* the lease if it names a length. It *renews* the lease if it sets the lease, or
//! adds something to the stream. The length that counts at some time is not always known: requests
//! of unknown outcome may have set another one. A rule takes the length that excuses most.

use super::view::{View, body, fresh};
use crate::history::{Ask, Call, CallResult};
use std::collections::BTreeMap;

const LAPSED: &str = "lease-expired";

/// The length of the lease that a request sets, in seconds.
const fn sets(call: &Call) -> Option<u64> {
    match call.ask {
        Ask::Create { lease, .. } | Ask::Append { lease, .. } => lease,
        _ => None,
    }
}

/// Whether a request was done, or may be done at any time.
fn may_apply(call: &Call) -> bool {
    match (&call.ask, &call.result) {
        (_, CallResult::Unknown(_)) => true,
        (_, CallResult::Refused(..)) => false,
        (Ask::Append { body: None, .. }, CallResult::Done { .. }) => true,
        (_, CallResult::Done { .. }) => fresh(call),
    }
}

/// Whether a request was done, and by itself.
fn surely_applied(call: &Call) -> bool {
    may_apply(call) && matches!(call.result, CallResult::Done { .. })
}

fn renews(call: &Call) -> bool {
    let creates = matches!(call.ask, Ask::Create { .. });
    sets(call).is_some() || (body(&call.ask).is_some() && !creates)
}

/// The end of the time in which a request may have an effect.
fn last_effect(call: &Call, doubt_us: u64) -> u64 {
    match call.result {
        CallResult::Unknown(_) => call.began.saturating_add(doubt_us).max(call.ended),
        _ => call.ended,
    }
}

/// The requests that may have set the lease that counts after `call`.
fn setters<'h>(view: &View<'h>, call: &Call, until: u64) -> impl Iterator<Item = (&'h Call, u64)> {
    let calls = view.calls.iter().copied();
    let possible: Vec<_> = calls
        .filter(|one| may_apply(one) && one.began < until)
        .filter_map(|one| Some((one, sets(one)?)))
        .collect();
    let began = call.began;
    // A setting that is over before another one begins counts no more after that one.
    let sure: Vec<(u64, u64)> = possible
        .iter()
        .filter(|(one, _)| surely_applied(one) && one.ended <= began)
        .map(|(one, _)| (one.began, one.ended))
        .collect();
    possible.into_iter().filter(move |(one, _)| {
        let known = surely_applied(one);
        !known || !sure.iter().any(|(began, _)| one.ended <= *began)
    })
}

/// An answer that shows a closed stream.
struct Close<'h> {
    began: u64,
    ended: u64,
    reason: Option<&'h str>,
}

fn closes<'h>(view: &View<'h>) -> Vec<Close<'h>> {
    let calls = view.calls.iter().filter_map(|call| {
        let closed = match &call.result {
            CallResult::Done { closed, .. } => *closed,
            CallResult::Refused(_, code) => code == "STREAM_CLOSED",
            CallResult::Unknown(_) => false,
        };
        closed.then_some(Close {
            began: call.began,
            ended: call.ended,
            reason: call.reason.as_deref(),
        })
    });
    let reads = view.reads().filter(|read| read.page.closed);
    let pages = reads.map(|read| Close {
        began: read.page.began,
        ended: read.page.ended,
        reason: read.page.reason.as_deref(),
    });
    calls.chain(pages).collect()
}

/// No lease lapses before its end.
pub(super) fn early(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if !view.terms.leases.timely {
        return found;
    }
    let mut lapses: Vec<_> = closes(view)
        .into_iter()
        .filter(|close| close.reason == Some(LAPSED))
        .collect();
    lapses.sort_by_key(|lapse| lapse.ended);
    // Of the answers that show one lapse, the first one says most.
    let mut first: Option<Close<'_>> = None;
    for lapse in lapses {
        let same = |first: &Close<'_>| !view.may_have_ended(first.began, lapse.ended);
        if !first.as_ref().is_some_and(same) {
            found.extend(renewed_before(view, &lapse));
            first = Some(lapse);
        }
    }
    found
}

/// Renewals of a lease that lapsed before its end.
fn renewed_before<'v>(view: &'v View<'_>, lapse: &Close<'_>) -> impl Iterator<Item = String> + 'v {
    let (lapsed, lapsed_ms) = (lapse.ended, lapse.ended / 1000);
    let renewals = view.calls.iter().filter(move |call| {
        let before = call.began < lapsed && renews(call) && surely_applied(call);
        before && !view.may_have_ended(call.began, lapsed.max(call.ended))
    });
    renewals.filter_map(move |renewal| {
        let lengths = setters(view, renewal, lapsed).map(|(_, secs)| secs);
        let secs = lengths.filter(|secs| *secs > 0).min()?;
        let renewed_ms = renewal.began / 1000;
        (lapsed_ms < renewed_ms + secs * 1000).then(|| {
            format!("a lease of {secs} s, renewed at {renewed_ms} ms, lapsed by {lapsed_ms} ms")
        })
    })
}

/// The time by which every instance knows that the lease has lapsed, in microseconds: its last
/// renewal may be a request that began before `until`. Also returns the length of the lease. `None` if
/// the stream may have no lease. `except` is not counted as a renewal.
fn lapses_by(view: &View<'_>, from: u64, until: u64, except: Option<&Call>) -> Option<(u64, u64)> {
    let terms = view.terms.leases;
    let sure = view.calls.iter().filter(|call| {
        let began = sets(call).is_some() && surely_applied(call) && call.ended <= from;
        began && !except.is_some_and(|other| std::ptr::eq(**call, other))
    });
    let last = sure.max_by_key(|call| call.began)?;
    if view.may_have_ended(last.began, until) {
        return None;
    }
    let is_other = |call: &Call| !except.is_some_and(|other| std::ptr::eq(call, other));
    let mut longest = sets(last)?;
    let overlapping = setters(view, last, until)
        .filter(|(call, _)| is_other(call) && (call.ended > last.began || !surely_applied(call)));
    for (_, secs) in overlapping {
        if secs == 0 {
            return None;
        }
        longest = longest.max(secs);
    }
    if sets(last) == Some(0) {
        return None;
    }
    let renewals = view
        .calls
        .iter()
        .filter(|call| renews(call) && may_apply(call) && call.began < until && is_other(call));
    let renewed = renewals
        .map(|call| last_effect(call, terms.doubt_us))
        .max()?;
    let lapse_ms = longest * 1000 + terms.skew_ms + view.terms.skew_ms + 1;
    Some((renewed.saturating_add(lapse_ms * 1000), longest))
}

/// Longest pause between two tries of a close that can't be committed, in microseconds.
const RETRY_US: u64 = 15_000_000;

/// Longest time that an instance gives writers after it began again, in milliseconds.
const GRACE_MS: u64 = 30_000;

/// No reader waits at an open stream after the lease of its writer lapsed.
pub(super) fn waits(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let terms = view.terms.leases;
    if !terms.timely {
        return found;
    }
    for wait in &view.waits {
        let Some((lapses, secs)) = lapses_by(view, wait.began, wait.ended, None) else {
            continue;
        };
        let mut until = lapses;
        if terms.quiet_from > 0 {
            until = until.max(terms.quiet_from + RETRY_US + terms.doubt_us);
            if terms.grace {
                let grace_ms = GRACE_MS.min(secs * 1000) + view.terms.skew_ms;
                until = until.max(terms.quiet_from + terms.doubt_us + grace_ms * 1000);
            }
        }
        if wait.ended > until + terms.notice_us {
            found.push(format!(
                "a lease of {secs} s lapsed by {lapses} us, and a reader waited from {} to {} us",
                wait.began, wait.ended
            ));
        }
    }
    found
}

/// An append after the lease lapsed is not accepted.
pub(super) fn late_appends(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let terms = view.terms.leases;
    if !terms.timely || terms.grace {
        return found;
    }
    for call in &view.calls {
        let append = matches!(call.ask, Ask::Append { .. }) && renews(call);
        if !append || !surely_applied(call) {
            continue;
        }
        let lapses = lapses_by(view, call.began, call.ended, Some(call));
        if let Some((lapses, secs)) = lapses.filter(|(lapses, _)| *lapses < call.began) {
            let began = call.began;
            found.push(format!(
                "a lease of {secs} s lapsed by {lapses} us, and {:?} was accepted at {began} us",
                call.ask
            ));
        }
    }
    found
}

/// The first close decides the reason, and some client gave that reason or the stream had a lease.
pub(super) fn reasons(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let closes = closes(view);
    let mut kinds: BTreeMap<Option<&str>, Vec<&Close<'_>>> = BTreeMap::new();
    for close in &closes {
        kinds.entry(close.reason).or_default().push(close);
    }
    for (reason, closes) in &kinds {
        let others = kinds.iter().filter(|(other, _)| *other < reason);
        for (other, others) in others {
            let both = others
                .iter()
                .flat_map(|one| closes.iter().map(move |two| (one, two)));
            let mut same = both.filter(|(one, two)| {
                let (from, to) = (one.began.min(two.began), one.ended.max(two.ended));
                !view.may_have_ended(from, to)
            });
            if let Some((one, two)) = same.next() {
                found.push(format!(
                    "it was closed as {other:?} by {} us, and as {reason:?} by {} us",
                    one.ended, two.ended
                ));
            }
        }
        let first = closes.iter().map(|close| close.ended).min();
        let gave = |call: &&Call| {
            let gave = match (&call.ask, reason) {
                (_, Some(LAPSED)) => sets(call).is_some_and(|secs| secs > 0),
                (Ask::Create { close, .. }, None) => *close,
                (
                    Ask::Append {
                        close,
                        reason: given,
                        ..
                    },
                    _,
                ) => *close && given == reason,
                _ => false,
            };
            gave && !matches!(call.result, CallResult::Refused(..))
        };
        let mut calls = view.calls.iter().copied().filter(gave);
        if !calls.any(|call| Some(call.began) < first) {
            found.push(format!("it was closed as {reason:?}, and no client did so"));
        }
    }
    found
}
