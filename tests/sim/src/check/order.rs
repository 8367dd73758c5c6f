//! Rules about the bytes: whole messages, once, in one order, at one offset.

use super::view::{View, fresh, is_start};
use crate::history::{Ask, CallResult, From, Message, Offset};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn intact(view: &View<'_>) -> Vec<String> {
    let mut found: Vec<String> = view
        .runs
        .iter()
        .filter_map(|run| run.broken.clone())
        .collect();
    for message in view.runs.iter().flat_map(|run| run.messages()) {
        let known = view.calls_with(message.body.id);
        if known.is_none() || message.part >= message.body.messages {
            found.push(format!("no writer sent {message:?}"));
        }
    }
    found
}

pub(super) fn once(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for run in &view.runs {
        let mut seen = BTreeSet::new();
        for message in run.messages() {
            if !seen.insert(message) && !view.may_repeat(message.body.id) {
                found.push(format!("{message:?} is there twice"));
            }
        }
    }
    found
}

/// Each message follows the same message in all reads. `None` is the beginning of a life.
pub(super) fn one_order(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut after: BTreeMap<Message, Message> = BTreeMap::new();
    let mut before: BTreeMap<Message, Option<Message>> = BTreeMap::new();
    let ends = ends(view);
    for run in &view.runs {
        let first = run.reads.first();
        let mut last = match first.map(|read| read.page.from) {
            Some(from) if is_start(from) => Some(None),
            Some(From::At(offset)) => ends.get(&offset).copied().map(Some),
            // A tail with fewer messages than requested is all of the life.
            Some(From::Tail(count)) => first
                .filter(|read| read.page.at_tail && (read.messages.len() as u64) < count)
                .map(|_| None),
            Some(From::Start | From::Now) | None => None,
        };
        for message in run.messages() {
            if view.may_move(message.body.id) {
                last = None;
                continue;
            }
            if let Some(last) = last {
                let known = *before.entry(message).or_insert(last);
                if known != last {
                    found.push(format!(
                        "{message:?} comes after {known:?} and after {last:?}"
                    ));
                }
                if let Some(last) = last {
                    let known = *after.entry(last).or_insert(message);
                    if known != message {
                        found.push(format!("{known:?} and {message:?} both follow {last:?}"));
                    }
                }
            }
            last = Some(Some(message));
        }
    }
    found
}

/// A read near the tail begins no earlier than requested: all messages after the requested number
/// were appended while it was under way.
pub(super) fn tails(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for read in view.reads() {
        let From::Tail(count) = read.page.from else {
            continue;
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for message in read.messages.iter().skip(count) {
            let calls = view.bodies.get(&message.body.id);
            let was_there = calls.into_iter().flatten().any(|call| {
                let is_done = matches!(call.result, CallResult::Done { .. });
                let is_written = fresh(call) || matches!(call.ask, Ask::Append { .. });
                is_done && is_written && call.ended < read.page.began
            });
            if was_there && !view.may_move(message.body.id) {
                found.push(format!("{message:?} is behind {count} others"));
            }
        }
    }
    found
}

/// The message that ends at an offset, by the answers to appends and by pages.
fn ends(view: &View<'_>) -> BTreeMap<Offset, Message> {
    known_ends(view).collect()
}

/// The ends of messages, by the answers to appends and by pages.
pub(super) fn known_ends(view: &View<'_>) -> impl Iterator<Item = (Offset, Message)> {
    let acks = view.acks.iter().map(|ack| {
        let part = ack.body.messages - 1;
        (
            ack.end,
            Message {
                body: ack.body,
                part,
            },
        )
    });
    let aligned = view.reads().filter(|read| read.aligned);
    let pages = aligned.filter_map(|read| Some((read.page.to, *read.messages.last()?)));
    acks.chain(pages)
}

pub(super) fn offsets(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut ends: BTreeMap<Offset, Message> = BTreeMap::new();
    let mut offsets: BTreeMap<Message, Offset> = BTreeMap::new();
    for (offset, message) in known_ends(view) {
        let known = *ends.entry(offset).or_insert(message);
        if known != message {
            found.push(format!("{known:?} and {message:?} end at {offset}"));
        }
        let known = *offsets.entry(message).or_insert(offset);
        if known != offset && !view.may_move(message.body.id) {
            found.push(format!("{message:?} ends at {known} and at {offset}"));
        }
    }
    found
}

pub(super) fn whole(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for run in &view.runs {
        let mut last: Option<Message> = None;
        for message in run.messages() {
            // A fork may leave its source in the middle of an append.
            let leaves = |last: Message| {
                view.is_inherited(last.body.id)
                    && view.written_to(last.body.id) != view.written_to(message.body.id)
            };
            let follows = last.is_none_or(|last| match last.part + 1 < last.body.messages {
                true if leaves(last) => message.part == 0,
                true => message.body == last.body && message.part == last.part + 1,
                false => message.part == 0,
            });
            let begins = last.is_some() || !run.begins() || message.part == 0;
            if !follows || !begins {
                found.push(format!("{message:?} comes after {last:?}"));
            }
            last = Some(message);
        }
        let at_tail = run.reads.last().is_some_and(|read| read.page.at_tail);
        if let Some(last) = last
            && at_tail
            && last.part + 1 < last.body.messages
            && !view.is_inherited(last.body.id)
        {
            found.push(format!("{last:?} is the last one"));
        }
    }
    found
}

pub(super) fn producers(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if view.terms.forgetful {
        return found;
    }
    for run in &view.runs {
        let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for message in run.messages().filter(|message| message.part == 0) {
            let Some(mark) = view.mark(message.body.id) else {
                continue;
            };
            let now = (mark.epoch, mark.seq);
            let fits = match last.insert(&mark.producer, now) {
                Some((epoch, seq)) => {
                    (mark.epoch == epoch && mark.seq == seq + 1)
                        || (mark.epoch > epoch && mark.seq == 0)
                }
                None => mark.seq == 0 || !run.begins(),
            };
            if !fits {
                found.push(format!("{mark:?} is out of order"));
            }
        }
    }
    found
}

pub(super) fn sequences(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for run in &view.runs {
        let mut last = None;
        for message in run.messages().filter(|message| message.part == 0) {
            let calls = view.bodies.get(&message.body.id);
            let seq = calls.and_then(|calls| match calls.first()?.ask {
                Ask::Append { seq, .. } => seq,
                _ => None,
            });
            if let Some(seq) = seq {
                if last.is_some_and(|last| last >= seq) {
                    found.push(format!("{seq} comes after {last:?}"));
                }
                last = Some(seq);
            }
        }
    }
    found
}

pub(super) fn forward(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for run in &view.runs {
        for read in &run.reads {
            let empty = read.page.bytes.is_empty() || read.page.bytes == b"[]";
            let from = match (read.page.from, read.start) {
                (From::Now | From::Tail(_), _) => continue,
                (From::Start | From::At(_), Some(offset)) => offset,
                (From::Start | From::At(_), None) => Offset::ZERO,
            };
            let to = read.page.to;
            if (empty && to != from && read.page.from != From::Start) || (!empty && to <= from) {
                found.push(format!("a page goes from {from} to {to}"));
            }
        }
    }
    found
}
