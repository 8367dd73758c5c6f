//! Clients that fork streams, and use the forks as other clients use streams.

use super::reader::{Came, read_page};
use super::{Client, writer};
use crate::history::{Ask, CallResult, Ends, Fork, From, Live, Offset};
use crate::plan::Topic;
use std::rc::Rc;

/// A time that no run reaches, in milliseconds.
const NEVER_MS: u64 = 10 * 365 * 86_400_000;

/// Most forks of one run.
const MOST: usize = 24;

/// Forks any topic, including forks. Appends to its own forks, and deletes some of them.
pub(super) fn fork(client: &Client<'_>) {
    let mut own: Vec<Rc<Topic>> = Vec::new();
    for _ in 0..client.sim().plan.requests {
        client.think();
        let known = client.sim().topics.borrow().len();
        let dice = client.range(0, 99);
        let used = match own.is_empty() {
            true => None,
            false => own.get(client.range(0, own.len() as u64 - 1) as usize),
        };
        match (dice, used) {
            (0..15, Some(fork)) if fork.mortal => drop(client.ask(fork, Ask::Delete)),
            (15..20, Some(fork)) => writer::close(client, fork),
            (20..50, Some(fork)) => drop(client.ask(fork, client.append())),
            (50..60, Some(fork)) => {
                let run = client.sim().next_id();
                read_page(client, fork, run, From::Start, Live::No);
            }
            _ if known < MOST => own.push(create(client, &client.any_topic())),
            _ => drop(client.ask(&client.any_topic(), client.append())),
        }
    }
}

/// Creates a new name as a fork of a stream.
fn create(client: &Client<'_>, source: &Topic) -> Rc<Topic> {
    let topic = Rc::new(Topic {
        name: format!("f{}", client.sim().next_id()),
        prefill: 0,
        mortal: client.chance(600),
        fork: true,
        private: false,
        ..source.clone()
    });
    let at = match client.chance(600) {
        true => any_offset(client, source),
        false => None,
    };
    let skip = match topic.is_json() && at.is_some() && client.chance(400) {
        true => client.range(1, 3),
        false => 0,
    };
    let now_ms = client.cx.now_us() / 1000;
    let ends = match (topic.mortal, source.mortal, client.range(0, 9)) {
        (true, _, 0 | 1) => Ends::Idle(client.range(1, 8) * 1000),
        (true, _, 2) => Ends::At(now_ms + client.range(100, 20_000)),
        // Without its own expiry, the fork would inherit the current one of its source.
        (_, true, _) => Ends::At(now_ms + NEVER_MS),
        (_, false, _) => Ends::Never,
    };
    let create = Ask::Create {
        body: client.chance(500).then(|| client.body()),
        ends,
        close: topic.mortal && client.chance(50),
        fork: Some(Fork {
            source: source.name.clone(),
            at,
            skip,
        }),
        lease: client.any_lease(&topic),
    };
    // Other clients use the topic from now on, even if the creation fails.
    client.sim().topics.borrow_mut().push(Rc::clone(&topic));
    let (result, _) = client.ask(&topic, create.clone());
    // The creation is repeated only where no client can have ended the stream in between.
    if !topic.mortal && !matches!(result, CallResult::Refused(..)) && client.chance(500) {
        client.ask(&topic, create);
    }
    topic
}

/// An offset of a stream, usually the end of a page.
fn any_offset(client: &Client<'_>, source: &Topic) -> Option<Offset> {
    if client.chance(100) {
        return Some(Offset::ZERO);
    }
    let run = client.sim().next_id();
    let mut from = From::Start;
    let mut offset = None;
    for _ in 0..client.range(1, 3) {
        match read_page(client, source, run, from, Live::No) {
            Came::Page {
                to, at_tail, whole, ..
            } => {
                from = From::At(to);
                // A fork in the middle of a message would have bytes that the checker can't parse.
                if whole {
                    offset = Some(to);
                }
                if at_tail {
                    break;
                }
            }
            Came::Gone | Came::Nothing => break,
        }
    }
    offset
}
