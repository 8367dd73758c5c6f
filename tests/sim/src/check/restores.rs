//! Histories in which the store went back to an older state.

use crate::history::{Ask, Call, CallResult, Event, From, History, Offset, Page, Restore};
use std::collections::BTreeSet;

/// The moment when the store went back, if it did.
pub(super) fn of(history: &History) -> Option<&Restore> {
    history.events.iter().find_map(|event| match event {
        Event::Restore(restore) => Some(restore),
        _ => None,
    })
}

/// The same call with an unknown outcome.
fn unknown(call: &Call) -> Event {
    Event::Call(Call {
        result: CallResult::Unknown("RESTORED".to_owned()),
        ..call.clone()
    })
}

/// The history until the store went back. Calls under way at that moment may have been done.
pub(super) fn before(history: &History, restore: &Restore) -> History {
    let done = restore.done;
    let events = history.events.iter().filter_map(|event| match event {
        Event::Call(call) if call.ended <= done => Some(event.clone()),
        Event::Call(call) => (call.began <= done).then(|| unknown(call)),
        Event::Page(page) => (page.ended <= done).then(|| event.clone()),
        Event::Wait(wait) => (wait.ended <= done).then(|| event.clone()),
        Event::Restore(_) => None,
    });
    History {
        terms: history.terms,
        events: events.collect(),
    }
}

/// The history of the store that went back. Calls that began and ended between its state and its
/// return were never done. Calls around one of these moments may have been done.
pub(super) fn after(history: &History, restore: &Restore) -> History {
    let Restore { taken, done, .. } = *restore;
    let is_known = |began: u64, ended: u64| ended < taken || began > done;
    // A page after a lost page may begin within a message.
    let broken: BTreeSet<u64> = history
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Page(page) => (!is_known(page.began, page.ended)).then_some(page.run),
            _ => None,
        })
        .collect();
    let is_whole = |page: &Page| page.ended < taken || !broken.contains(&page.run);
    let events = history.events.iter().filter_map(|event| match event {
        Event::Call(call) if is_known(call.began, call.ended) => Some(event.clone()),
        Event::Call(call) if call.began > taken && call.ended <= done => Some(Event::Call(Call {
            result: CallResult::Refused(0, "RESTORED".to_owned()),
            ..call.clone()
        })),
        Event::Call(call) => Some(unknown(call)),
        Event::Page(page) => {
            let is_known = is_known(page.began, page.ended);
            (is_known && is_whole(page)).then(|| event.clone())
        }
        Event::Wait(wait) => is_known(wait.began, wait.ended).then(|| event.clone()),
        Event::Restore(_) => None,
    });
    History {
        terms: history.terms,
        events: events.collect(),
    }
}

/// Offsets in the lost part of the history: a store that went back neither reads from them nor
/// gives them out again.
pub(super) fn lost_offsets(history: &History, restore: &Restore) -> Vec<String> {
    let tail = |name: &str| restore.tails.get(name).copied().unwrap_or(Offset::ZERO);
    let shown = |event: &Event| match event {
        Event::Call(call) => match call.result {
            CallResult::Done {
                tail: Some(tail), ..
            } => Some((call.name.clone(), call.began, call.ended, tail)),
            _ => None,
        },
        Event::Page(page) => Some((page.name.clone(), page.began, page.ended, page.to)),
        Event::Wait(_) | Event::Restore(_) => None,
    };
    let shown: Vec<_> = history.events.iter().filter_map(shown).collect();
    let lost: BTreeSet<(&str, Offset)> = shown
        .iter()
        .filter(|(name, _, ended, offset)| *ended <= restore.done && *offset > tail(name))
        .map(|(name, .., offset)| (&**name, *offset))
        .collect();
    let again = shown.iter().filter(|(name, began, _, offset)| {
        *began > restore.done && lost.contains(&(&**name, *offset))
    });
    let mut found: Vec<String> = again
        .map(|(name, .., offset)| format!("{name}: {offset} was lost, and given out again"))
        .collect();
    for event in &history.events {
        let (name, began, from) = match event {
            Event::Page(page) => (&page.name, page.began, page.from),
            Event::Call(Call {
                ask: Ask::Create {
                    fork: Some(fork), ..
                },
                result: CallResult::Done { status: 201, .. },
                began,
                ..
            }) => (&fork.source, *began, fork.at.map_or(From::Now, From::At)),
            _ => continue,
        };
        let From::At(offset) = from else { continue };
        if began > restore.done && lost.contains(&(&**name, offset)) {
            found.push(format!("{name}: {offset} was lost, and read from"));
        }
    }
    found
}
