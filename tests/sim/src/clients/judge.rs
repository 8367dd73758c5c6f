//! Reads and removal of all streams once all faults are over.

use super::reader::{Came, read_page};
use super::{Client, enter, work_once, worker};
use crate::history::{Ask, From, Live};
use crate::sim::Sim;
use std::rc::Rc;

/// Longer than the service takes any work to be under way at another instance.
const LEFT_OVER_MS: u64 = 700_000;

/// Enough pieces of work for everything that a run leaves.
const ROUNDS: u64 = 4_000;

/// Most pages of one stream.
const PAGES: u64 = 5_000;

/// Reads every stream to its tail, appends to it, does background work, and reads it again.
pub(crate) fn judge(sim: &Rc<Sim>) {
    enter(sim, sim.plan.clients, 0, |client| {
        let cx = client.cx;
        let topics = cx.sim.topics.borrow().clone();
        for topic in &topics {
            read_all(client, topic);
            let append = client.append();
            client.ask(topic, append);
            client.ask(topic, Ask::Head);
        }
        for round in 0..48 {
            work_once(cx, 0, round);
        }
        for topic in &topics {
            read_all(client, topic);
        }
    });
}

/// Deletes every stream, the forks last, and works until nothing is left to do.
pub(crate) fn clear(sim: &Rc<Sim>) {
    enter(sim, sim.plan.clients, 0, |client| {
        let cx = client.cx;
        let topics = cx.sim.topics.borrow().clone();
        for topic in &topics {
            client.ask(topic, Ask::Delete);
        }
        if cx.sim.plan.subscribed {
            worker::unsubscribe(client);
        }
        // Some work waits until no other instance can be busy with it, by the clock that began it.
        let wait_ms = LEFT_OVER_MS + cx.sim.history.borrow().terms.skew_ms;
        for wait_ms in [0, wait_ms, wait_ms] {
            cx.sleep_ms(wait_ms);
            for round in 0..ROUNDS {
                work_once(cx, 0, round);
                if round % 32 == 0 && cx.sim.store.borrow().left_over().is_empty() {
                    break;
                }
            }
        }
    });
}

fn read_all(client: &Client<'_>, topic: &crate::plan::Topic) {
    let run = client.sim().next_id();
    let mut from = From::Start;
    for _ in 0..PAGES {
        match read_page(client, topic, run, from, Live::No) {
            Came::Page { to, at_tail, .. } => {
                from = From::At(to);
                if at_tail {
                    return;
                }
            }
            // The checker judges the recorded answer.
            Came::Gone | Came::Nothing => return,
        }
    }
}
