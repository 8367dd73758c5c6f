//! Rules about lives of a name: creation, closing, deletion, expiry.

use super::view::View;
use crate::history::{Ask, Call, CallResult, Ends, From, Offset};
use std::collections::BTreeMap;

/// An answer that shows that a stream was there.
struct Alive {
    began: u64,
    ended: u64,
    tail: Option<Offset>,
    closed: bool,
}

/// Whether a request that succeeded has closed the stream, even if its answer does not say so.
const fn asks_to_close(ask: &Ask) -> bool {
    match ask {
        Ask::Create { close, .. } | Ask::Append { close, .. } => *close,
        _ => false,
    }
}

fn alive(view: &View<'_>) -> Vec<Alive> {
    let calls = view.calls.iter().filter_map(|call| match &call.result {
        CallResult::Done { tail, closed, .. } if call.ask != Ask::Delete => Some(Alive {
            began: call.began,
            ended: call.ended,
            tail: *tail,
            closed: *closed || asks_to_close(&call.ask),
        }),
        _ => None,
    });
    let reads = view.reads().map(|read| Alive {
        began: read.page.began,
        ended: read.page.ended,
        tail: read.page.at_tail.then_some(read.page.to),
        closed: read.page.closed,
    });
    calls.chain(reads).collect()
}

/// A closed stream stays closed, and does not grow.
pub(super) fn closed(view: &View<'_>) -> Vec<String> {
    let alive = alive(view);
    let mut found = Vec::new();
    for first in alive.iter().filter(|one| one.closed) {
        for later in alive.iter().filter(|one| one.began >= first.ended) {
            let same = later.tail.is_none() || (later.tail == first.tail && later.closed);
            if !same && !view.may_have_ended(first.began, later.ended) {
                found.push(format!(
                    "it was closed at {:?}, and later at {:?}, closed: {}",
                    first.tail, later.tail, later.closed
                ));
            }
        }
    }
    found
}

/// A stream stays there unless a client deleted it or it may have expired.
pub(super) fn vanished(view: &View<'_>) -> Vec<String> {
    let alive = alive(view);
    let mut found = Vec::new();
    for call in &view.calls {
        let CallResult::Refused(status @ (404 | 410), _) = call.result else {
            continue;
        };
        // 410 concerns the life that the offset belongs to.
        let of_place = match (status, &call.ask) {
            (410, Ask::Read { from, .. }) => Some(*from),
            _ => None,
        };
        let known = alive.iter().filter(|one| {
            let same = of_place.is_none_or(|from| one.tail.map(From::At) == Some(from));
            one.ended <= call.began && same
        });
        let Some(last) = known.max_by_key(|one| one.ended) else {
            continue;
        };
        if !view.may_have_ended(last.began, call.ended) {
            found.push(format!("{:?} was answered {:?}", call.ask, call.result));
        }
    }
    found
}

/// A deleted stream is not there until a client creates it.
pub(super) fn deleted(view: &View<'_>) -> Vec<String> {
    let alive = alive(view);
    let mut found = Vec::new();
    for deletion in view.calls.iter().filter(|call| call.ask == Ask::Delete) {
        if !matches!(deletion.result, CallResult::Done { .. }) {
            continue;
        }
        for later in alive.iter().filter(|one| one.began >= deletion.ended) {
            let created = view.creations().any(|(call, _)| {
                let open =
                    matches!(call.result, CallResult::Unknown(_)) || call.ended > deletion.began;
                open && call.began < later.ended
            });
            if !created {
                found.push(format!("it was deleted, and was there at {:?}", later.tail));
            }
        }
    }
    found
}

struct Life {
    first: Offset,
    last: Offset,
    seen_by: u64,
    last_began: u64,
}

/// The offsets of two lives do not mix, and no answer shows an earlier life after a later one.
pub(super) fn apart(view: &View<'_>) -> Vec<String> {
    let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
    for read in view.reads() {
        let Some((tag, _)) = &read.page.tag else {
            continue;
        };
        let start = read.start.unwrap_or(read.page.to);
        if read.messages.is_empty() {
            continue;
        }
        let life = lives.entry(tag).or_insert(Life {
            first: start,
            last: read.page.to,
            seen_by: read.page.ended,
            last_began: read.page.began,
        });
        life.first = life.first.min(start);
        life.last = life.last.max(read.page.to);
        life.seen_by = life.seen_by.min(read.page.ended);
        life.last_began = life.last_began.max(read.page.began);
    }
    let mut lives: Vec<Life> = lives.into_values().collect();
    lives.sort_by_key(|life| life.first);
    let mut found = Vec::new();
    for pair in lives.windows(2) {
        let [early, late] = pair else { continue };
        if early.last >= late.first {
            found.push(format!("lives meet at {} and {}", early.last, late.first));
        }
        if early.last_began >= late.seen_by {
            found.push(format!("the life before {} came back", late.first));
        }
    }
    found
}

/// Only one client gets the answer that it created a life, and its body is the beginning of the
/// life.
pub(super) fn created_once(view: &View<'_>) -> Vec<String> {
    let is_creation = |call: &&&Call| {
        let created = matches!(call.result, CallResult::Done { status: 201, .. });
        created && matches!(call.ask, Ask::Create { .. })
    };
    let creations: Vec<_> = view.calls.iter().filter(is_creation).collect();
    let mut found = Vec::new();
    for (index, one) in creations.iter().enumerate() {
        for other in creations.iter().skip(index + 1) {
            let (from, to) = (one.began.min(other.began), one.ended.max(other.ended));
            if !view.may_have_ended(from, to) {
                found.push(format!("{:?} and {:?} both created it", one.ask, other.ask));
            }
        }
    }
    for run in &view.runs {
        let first = run.begins();
        let own = run
            .messages()
            .filter(|message| !view.is_inherited(message.body.id));
        for (index, message) in own.enumerate() {
            let calls = view.bodies.get(&message.body.id);
            let creation = calls.is_some_and(|calls| {
                calls
                    .iter()
                    .all(|call| matches!(call.ask, Ask::Create { .. }))
            });
            let begins = index == 0 && first;
            let is_near = |from| matches!(from, From::Now | From::Tail(_));
            let unknown = index == 0 && run.reads.iter().any(|read| is_near(read.page.from));
            if creation && message.part == 0 && !begins && !unknown {
                found.push(format!("{message:?} created it, and is not its beginning"));
            }
        }
    }
    found
}

/// A stream with a set date of expiry is not there after it.
pub(super) fn expired(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let creations: Vec<_> = view.creations().collect();
    for (creation, ends) in &creations {
        let Ends::At(ms) = ends else { continue };
        let others = creations.iter().any(|(other, _)| {
            let open =
                matches!(other.result, CallResult::Unknown(_)) || other.ended > creation.began;
            !std::ptr::eq(*other, *creation) && open
        });
        if others || !matches!(creation.result, CallResult::Done { .. }) {
            continue;
        }
        let late = |one: &Alive| one.began / 1000 > ms + view.terms.skew_ms;
        let alive = alive(view).into_iter().filter(late);
        found.extend(alive.map(|one| format!("it ended at {ms} ms, and is at {:?}", one.tail)));
    }
    found
}
