//! Rules about the answers to appends.

use super::view::{View, body, fresh};
use crate::history::{Ask, CallResult, Message, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// A page over the offset where an acknowledged append ends contains that append.
pub(super) fn there(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for ack in &view.acks {
        let part = ack.body.messages - 1;
        let message = Message {
            body: ack.body,
            part,
        };
        for read in view.reads() {
            let Some(start) = read.start else { continue };
            let over = start < ack.end && ack.end <= read.page.to;
            if over && !read.messages.contains(&message) {
                let to = read.page.to;
                found.push(format!(
                    "{message:?} ends at {}, and is not between {start} and {to}",
                    ack.end
                ));
            }
        }
    }
    found
}

/// Every message that was read from a life, or acknowledged to its producer, is in every later run
/// through that life.
pub(super) fn kept(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let Some(last) = view
        .runs
        .iter()
        .rev()
        .find(|run| run.begins() && run.reads.last().is_some_and(|read| read.page.at_tail))
    else {
        return found;
    };
    let there: BTreeSet<Message> = last.messages().collect();
    let began = last.reads.first().map_or(0, |read| read.page.began);
    if let Some(life) = last.life() {
        let same = view.runs.iter().filter(|run| run.life() == Some(life));
        let before = same
            .flat_map(|run| run.reads.iter())
            .filter(|read| read.page.ended <= began);
        for message in before.flat_map(|read| &read.messages) {
            if !there.contains(message) {
                found.push(format!("{message:?} was read, and is not there in the end"));
            }
        }
    }
    for call in &view.calls {
        let (Some(body), CallResult::Done { .. }) = (body(&call.ask), &call.result) else {
            continue;
        };
        let done = fresh(call) || matches!(call.ask, Ask::Append { .. });
        let first = view.bodies.get(&body.id).and_then(|calls| calls.first());
        let since = first.map_or(0, |call| call.began);
        let message = Message { body, part: 0 };
        if done
            && call.ended <= began
            && !there.contains(&message)
            && !view.may_have_ended(since, u64::MAX)
        {
            found.push(format!("{message:?} was acknowledged, and is not there"));
        }
    }
    found
}

pub(super) fn refused(view: &View<'_>) -> Vec<String> {
    let seen: BTreeSet<u64> = {
        let messages = view.runs.iter().flat_map(|run| run.messages());
        messages.map(|message| message.body.id).collect()
    };
    let mut found = Vec::new();
    for id in seen {
        let Some(calls) = view.calls_with(id) else {
            continue;
        };
        let refused = calls.iter().all(|call| match (&call.ask, &call.result) {
            (_, CallResult::Refused(..)) => true,
            // The stream existed already, so the body of this creation has no effect.
            (Ask::Create { .. }, CallResult::Done { status, .. }) => *status == 200,
            _ => false,
        });
        if refused {
            let results: Vec<_> = calls.iter().map(|call| &call.result).collect();
            found.push(format!("{id} is there, but its answer was {results:?}"));
        }
    }
    found
}

/// An answer that shows an offset in the stream.
struct Sight {
    began: u64,
    ended: u64,
    offset: Offset,
    /// Whether this offset was the tail.
    tail: bool,
    /// Whether this request moved the tail there.
    moved: bool,
}

fn sights(view: &View<'_>) -> Vec<Sight> {
    let calls = view.calls.iter().filter_map(|call| match call.result {
        CallResult::Done {
            tail: Some(offset), ..
        } => Some(Sight {
            began: call.began,
            ended: call.ended,
            offset,
            tail: true,
            moved: fresh(call) && body(&call.ask).is_some(),
        }),
        _ => None,
    });
    let reads = view.reads().map(|read| Sight {
        began: read.page.began,
        ended: read.page.ended,
        offset: read.page.to,
        tail: read.page.at_tail,
        moved: false,
    });
    calls.chain(reads).collect()
}

/// A request that begins after an answer sees at least the offset in that answer.
pub(super) fn fresh_sights(view: &View<'_>) -> Vec<String> {
    let sights = sights(view);
    let mut by_end: Vec<_> = sights
        .iter()
        .map(|sight| (sight.ended, sight.offset, sight.began))
        .collect();
    by_end.sort_unstable();
    // The highest offset in an answer by then, and when its request began.
    let mut highest: BTreeMap<u64, (Offset, u64)> = BTreeMap::new();
    let mut most = (Offset::ZERO, 0);
    for (ended, offset, began) in by_end {
        most = most.max((offset, began));
        highest.insert(ended, most);
    }
    let mut found = Vec::new();
    for sight in &sights {
        let before = highest.range(..=sight.began).next_back();
        let Some((_, (offset, began))) = before else {
            continue;
        };
        let behind = sight.offset < *offset || (sight.moved && sight.offset == *offset);
        if !sight.tail || !behind {
            continue;
        }
        // An empty new life ends at zero, as every empty life does.
        let new_life = sight.offset == Offset::ZERO && view.may_have_ended(*began, sight.ended);
        if !new_life {
            let later = sight.offset;
            found.push(format!("a read returned {offset}, and a later one {later}"));
        }
    }
    found
}

/// After an append of a newer epoch, no append of an older epoch is accepted.
pub(super) fn fenced(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if view.terms.forgetful {
        return found;
    }
    let accepted: Vec<_> = view
        .calls
        .iter()
        .filter(|call| fresh(call))
        .filter_map(|call| match &call.ask {
            Ask::Append {
                mark: Some(mark), ..
            } => Some((call, mark)),
            _ => None,
        })
        .collect();
    for (newer, high) in &accepted {
        for (older, low) in &accepted {
            let later = older.began >= newer.ended && high.producer == low.producer;
            if later && low.epoch < high.epoch && !view.may_have_ended(newer.began, older.ended) {
                found.push(format!("{low:?} was accepted after {high:?}"));
            }
        }
    }
    found
}

/// A producer that repeats an acknowledged append is answered with a duplicate.
pub(super) fn remembered(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if view.terms.forgetful {
        return found;
    }
    for calls in view.bodies.values() {
        let done = calls.iter().find(|call| {
            let append = matches!(call.ask, Ask::Append { mark: Some(_), .. });
            append && matches!(call.result, CallResult::Done { .. })
        });
        let Some(done) = done else { continue };
        for later in calls.iter().filter(|call| call.began >= done.ended) {
            let CallResult::Refused(_, code) = &later.result else {
                continue;
            };
            let forgotten = matches!(code.as_str(), "SEQUENCE_CONFLICT" | "TOO_MANY_PRODUCERS");
            if forgotten && !view.may_have_ended(done.began, later.ended) {
                found.push(format!("{:?} was done, and then {code}", done.ask));
            }
        }
    }
    found
}
