//! Rules about forks: each begins with the contents of its source up to one offset, and that never
//! changes.
//!
//! Inherited contents keep the offsets of the source, so offsets of the two compare. The name of a
//! fork has one life; its source may have had several, with ever higher offsets.

use super::order::known_ends;
use super::view::{Run, View, fresh};
use crate::history::{CallResult, Message, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// The inherited messages of a run, in order.
fn inherited(fork: &View<'_>, run: &Run<'_>) -> Vec<Message> {
    run.messages()
        .filter(|message| fork.is_inherited(message.body.id))
        .collect()
}

/// Inherited messages come first, and in the order of the source, from its beginning, without gaps.
pub(super) fn order(fork: &View<'_>, source: &View<'_>) -> Vec<String> {
    // The messages read just before each message of the source; `None` at the beginning of a life.
    let mut before: BTreeMap<Message, BTreeSet<Option<Message>>> = BTreeMap::new();
    for run in &source.runs {
        let mut last = run.begins().then_some(None);
        for message in run.messages() {
            if let Some(last) = last {
                before.entry(message).or_default().insert(last);
            }
            last = Some(Some(message));
        }
    }
    let mut found = Vec::new();
    for run in &fork.runs {
        let own = run
            .messages()
            .position(|message| !fork.is_inherited(message.body.id));
        let inherited = inherited(fork, run);
        if own.is_some_and(|own| own < inherited.len()) {
            found.push(format!("{inherited:?} is not all before its own"));
        }
        let mut last = run.begins().then_some(None);
        for message in inherited {
            let known = before.get(&message);
            if let (Some(last), Some(known)) = (last, known)
                && !known.contains(&last)
            {
                found.push(format!("{message:?} comes after {last:?}, not {known:?}"));
            }
            last = Some(Some(message));
        }
    }
    found
}

/// Appends to the source that were acknowledged, each with its last message and its end.
fn appends<'v>(source: &'v View<'_>) -> impl Iterator<Item = (Message, &'v super::view::Ack<'v>)> {
    source.acks.iter().map(|ack| {
        let message = Message {
            body: ack.body,
            part: ack.body.messages - 1,
        };
        (message, ack)
    })
}

/// Offset where a fork left its source. The fork has everything up to there, and nothing behind.
struct Left {
    /// An offset at or before the point where the fork left.
    least: Option<Offset>,
    /// An offset at or behind the point where the fork left.
    most: Option<Offset>,
    /// Appends that ended before this time are in the fork.
    since: u64,
    /// Appends that began after this time are not in the fork.
    until: u64,
}

fn left(fork: &View<'_>) -> Option<Left> {
    let done = |result: &CallResult| matches!(result, CallResult::Done { status: 201, .. });
    let (first, asked) = fork.forked.first()?;
    let ended = fork
        .forked
        .iter()
        .filter(|(call, _)| done(&call.result))
        .map(|(call, _)| call.ended);
    Some(match asked.at {
        Some(offset) => Left {
            least: Some(offset),
            most: (asked.skip == 0).then_some(offset),
            since: 0,
            until: u64::MAX,
        },
        None => Left {
            least: None,
            most: None,
            since: first.began,
            until: ended.min().unwrap_or(u64::MAX),
        },
    })
}

/// A read of a fork over the offset where an append to its source ended contains that append.
pub(super) fn complete(fork: &View<'_>, source: &View<'_>) -> Vec<String> {
    let Some(left) = left(fork) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (message, ack) in appends(source) {
        let before = left.least.is_some_and(|offset| ack.end <= offset)
            || (left.least.is_none() && ack.call.ended <= left.since);
        // Contents inherited from another life of the source have lower offsets than the start of
        // the read.
        for read in fork.reads().filter(|_| before) {
            let Some(start) = read.start else { continue };
            let over = start < ack.end && ack.end <= read.page.to;
            if over && !read.messages.contains(&message) {
                found.push(format!("{message:?} is missing up to {}", read.page.to));
            }
        }
    }
    found
}

/// An append to the source after a fork left is not in the fork.
pub(super) fn apart(fork: &View<'_>, source: &View<'_>) -> Vec<String> {
    let Some(left) = left(fork) else {
        return Vec::new();
    };
    let seen: BTreeSet<Message> = fork.runs.iter().flat_map(Run::messages).collect();
    let mut found = Vec::new();
    for (message, ack) in appends(source) {
        let behind = left.most.is_some_and(|offset| ack.end > offset)
            || (fresh(ack.call) && ack.call.began >= left.until);
        if behind && seen.contains(&message) && !source.may_move(message.body.id) {
            found.push(format!("{message:?} ends at {}", ack.end));
        }
    }
    found
}

/// A fork of JSON may ask for a number of messages after the offset.
pub(super) fn skipped(fork: &View<'_>, source: &View<'_>) -> Vec<String> {
    let Some((call, asked)) = fork.forked.first() else {
        return Vec::new();
    };
    let (Some(offset), true) = (asked.at, matches!(call.result, CallResult::Done { .. })) else {
        return Vec::new();
    };
    // Without messages to skip, the other rules cover the offset.
    let ends: BTreeMap<Offset, Message> = known_ends(source).collect();
    let Some(last) = ends.get(&offset).filter(|_| asked.skip > 0) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for run in fork.runs.iter().filter(|run| run.begins()) {
        let inherited = inherited(fork, run);
        let at_tail = run.reads.last().is_some_and(|read| read.page.at_tail);
        let at = inherited.iter().position(|message| message == last);
        if let (Some(at), true) = (at, at_tail) {
            let more = (inherited.len() - at - 1) as u64;
            if more != asked.skip {
                found.push(format!(
                    "{more} messages after {offset} instead of {}",
                    asked.skip
                ));
            }
        }
    }
    found
}
