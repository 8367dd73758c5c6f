//! Rules about conditional appends.

use super::order::known_ends;
use super::view::View;
use crate::history::{Ask, Call, CallResult, From, Message, Offset};
use std::collections::BTreeMap;

/// A conditional append and the offset where it has to begin.
struct Conditional<'h> {
    call: &'h Call,
    expected: Offset,
    first: Message,
}

fn conditional<'h>(view: &View<'h>) -> impl Iterator<Item = Conditional<'h>> {
    view.calls.iter().filter_map(|call| match call.ask {
        Ask::Append {
            expected: Some(expected),
            body: Some(body),
            ..
        } => Some(Conditional {
            call,
            expected,
            first: Message { body, part: 0 },
        }),
        _ => None,
    })
}

/// A conditional append begins at the tail that it expects.
pub(super) fn at_its_tail(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut appends = conditional(view).peekable();
    if appends.peek().is_none() {
        return found;
    }
    let mut ends: Vec<(Offset, Message)> = known_ends(view).collect();
    ends.sort_unstable();
    let offsets: BTreeMap<Message, Offset> = ends
        .iter()
        .map(|(offset, message)| (*message, *offset))
        .collect();
    let mut before: BTreeMap<Message, Option<Message>> = BTreeMap::new();
    for run in &view.runs {
        let mut last = run.begins().then_some(None);
        for message in run.messages() {
            if let Some(last) = last {
                before.insert(message, last);
            }
            last = Some(Some(message));
        }
    }
    for Conditional {
        call,
        expected,
        first,
    } in appends
    {
        let mut wrong = |why: String| found.push(format!("{:?} {why}", call.ask));
        if let CallResult::Done {
            tail: Some(end), ..
        } = call.result
        {
            let from = ends.partition_point(|(offset, _)| *offset <= expected);
            let between = ends.get(from..).unwrap_or_default().iter();
            let mut between = between.take_while(|(offset, _)| *offset < end);
            if let Some((offset, message)) =
                between.find(|(_, message)| message.body.id != first.body.id)
                && (expected != Offset::ZERO || !view.may_have_ended(0, call.ended))
            {
                wrong(format!("comes after {message:?}, which ends at {offset}"));
            }
        }
        match before.get(&first) {
            Some(None) if expected != Offset::ZERO => wrong("begins the stream".to_owned()),
            Some(Some(last)) => match offsets.get(last) {
                Some(offset) if *offset != expected && !view.may_move(last.body.id) => {
                    wrong(format!("comes after {last:?}, which ends at {offset}"));
                }
                _ => {}
            },
            _ => {}
        }
        let pages = view.reads().filter(|read| {
            let from = From::At(expected);
            read.page.from == from && expected != Offset::ZERO && read.messages.contains(&first)
        });
        for read in pages {
            if read.messages.first() != Some(&first) {
                wrong(format!(
                    "is not the first on the page up to {}",
                    read.page.to
                ));
            }
        }
    }
    found
}

/// A conditional append is refused only if the tail was elsewhere.
pub(super) fn elsewhere(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for Conditional { call, expected, .. } in conditional(view) {
        if !matches!(call.result, CallResult::Refused(412, _)) {
            continue;
        }
        let tails = || {
            let calls = view.calls.iter().filter_map(|other| match other.result {
                CallResult::Done {
                    tail: Some(tail), ..
                } => Some((other.began, other.ended, tail)),
                _ => None,
            });
            let reads = view.reads().filter(|read| read.page.at_tail);
            let reads = reads.map(|read| (read.page.began, read.page.ended, read.page.to));
            calls.chain(reads).filter(|(.., tail)| *tail == expected)
        };
        let before = tails()
            .filter(|(_, ended, _)| *ended <= call.began)
            .max_by_key(|at| at.0);
        let after = tails()
            .filter(|(began, ..)| *began >= call.ended)
            .min_by_key(|at| at.1);
        if let (Some((from, ..)), Some((_, to, _))) = (before, after)
            && !view.may_have_ended(from, to)
        {
            found.push(format!("the tail was at {expected} from {from} to {to} us"));
        }
    }
    found
}
