//! Clients that keep a stream open with a lease, and then stop in one of several ways. Readers wait
//! for the end of each of these streams.

use super::reader::{Came, read_page};
use super::{Client, enter, follower, writer};
use crate::history::{Ask, CallResult, Ends, From, Live, Mark, Offset};
use crate::plan::Topic;
use std::rc::Rc;

/// Longest time for which a client keeps its streams, in microseconds.
const MOST_US: u64 = 20_000_000;

/// Most tries of a creation.
const TRIES: u64 = 4;

/// Keeps some streams, one after the other.
pub(super) fn keep(client: &Client<'_>) {
    let until = client.cx.now_us() + MOST_US;
    for _ in 0..client.range(1, 4) {
        if let Some(mut session) = Session::begin(client) {
            session.keep(until);
            session.end();
        }
        if client.cx.now_us() >= until {
            return;
        }
    }
}

/// The session of a writer with a stream that it made.
struct Session<'c> {
    client: &'c Client<'c>,
    topic: Rc<Topic>,
    /// The length of the lease, in seconds.
    secs: u64,
    /// The next sequence number of its producer.
    next: u64,
    /// The last append of its producer.
    last: Option<Ask>,
    closed: bool,
}

impl<'c> Session<'c> {
    fn begin(client: &'c Client<'c>) -> Option<Self> {
        let topic = Rc::new(Topic {
            name: format!("k{}", client.sim().next_id()),
            content_type: match client.chance(500) {
                true => "text/plain",
                false => "application/json",
            },
            fill: 8,
            prefill: 0,
            mortal: false,
            // Only this client creates it, and only once.
            fork: true,
            private: client.chance(800),
        });
        let secs = client.lease();
        let at_once = client.chance(700);
        let create = Ask::Create {
            body: client.chance(300).then(|| client.body()),
            // Reads move the end of the stream, and not the end of the lease. A fork would inherit it.
            ends: match topic.private && client.chance(200) {
                true => Ends::Idle(600_000),
                false => Ends::Never,
            },
            close: false,
            fork: None,
            lease: at_once.then_some(secs),
        };
        let sim = client.sim();
        sim.topics.borrow_mut().push(Rc::clone(&topic));
        let mut created = false;
        for _ in 0..TRIES {
            created = matches!(
                client.ask(&topic, create.clone()).0,
                CallResult::Done { .. }
            );
            if created {
                break;
            }
            client.think();
        }
        let session = Self {
            client,
            topic,
            secs,
            next: 0,
            last: None,
            closed: false,
        };
        if !created {
            return None;
        }
        if !at_once {
            client.ask(&session.topic, Ask::heartbeat(secs));
        }
        for _ in 0..client.range(0, 2) {
            let topic = Rc::clone(&session.topic);
            let polls = client.chance(500);
            enter(
                sim,
                client.number,
                client.range(0, 500_000),
                move |client| match polls {
                    true => poll_to_end(client, &topic),
                    false => follower::follow_to_end(client, &topic),
                },
            );
        }
        Some(session)
    }

    /// Appends and renews the lease for a while.
    fn keep(&mut self, until: u64) {
        for _ in 0..self.client.range(0, self.client.sim().plan.requests) {
            self.pause();
            if self.closed || self.client.cx.now_us() >= until {
                return;
            }
            self.act();
        }
    }

    /// Pauses between two requests; sometimes until the lease ends, or nearly so.
    fn pause(&self) {
        let client = self.client;
        let lease_ms = self.secs.min(5) * 1000;
        let skew_ms = client
            .sim()
            .history
            .borrow()
            .terms
            .leases
            .skew_ms
            .min(6_000);
        client.cx.sleep_ms(match client.range(0, 9) {
            0 => lease_ms - client.range(0, 300),
            1 => lease_ms + client.range(0, skew_ms + 300),
            2..6 => client.range(0, lease_ms / 2),
            _ => client.range(0, client.sim().plan.think_ms),
        });
    }

    fn act(&mut self) {
        let client = self.client;
        let ask = match client.range(0, 19) {
            0..6 => client.append(),
            6..9 => self.conditional(client.seen_tail(&self.topic)),
            9 => self.conditional(Some(Offset::ZERO)),
            10..13 => self.produced(),
            13 => {
                self.secs = client.lease();
                Ask::heartbeat(self.secs)
            }
            14 => self.marked_heartbeat(),
            15 => {
                let mut append = client.append();
                if let Ask::Append { lease, .. } = &mut append {
                    *lease = Some(self.secs);
                }
                append
            }
            16 if client.chance(200) => Ask::heartbeat(0),
            _ => Ask::heartbeat(self.secs),
        };
        self.send(ask);
    }

    fn send(&mut self, ask: Ask) {
        let (result, _) = self.client.ask(&self.topic, ask);
        if matches!(result, CallResult::Refused(_, code) if code == "STREAM_CLOSED") {
            self.closed = true;
        }
    }

    fn conditional(&self, tail: Option<Offset>) -> Ask {
        let mut append = self.client.append();
        if let Ask::Append { expected, .. } = &mut append {
            *expected = tail;
        }
        append
    }

    fn mark(&self) -> Mark {
        Mark {
            producer: "keeper".to_owned(),
            epoch: 0,
            seq: self.next,
        }
    }

    fn produced(&mut self) -> Ask {
        let mut append = self.client.append();
        if let Ask::Append { mark, .. } = &mut append {
            *mark = Some(self.mark());
        }
        self.next += 1;
        self.last = Some(append.clone());
        append
    }

    fn marked_heartbeat(&self) -> Ask {
        let mut heartbeat = Ask::heartbeat(self.secs);
        if let Ask::Append { mark, .. } = &mut heartbeat {
            *mark = Some(self.mark());
        }
        heartbeat
    }

    /// Stops. Most writers die for good, so that the lease lapses.
    fn end(&mut self) {
        let client = self.client;
        match client.range(0, 9) {
            0 => writer::close(client, &self.topic),
            1 => drop(client.ask(&self.topic, Ask::close(Some("stopped")))),
            2..5 => self.repeat(),
            _ => {}
        }
        if client.chance(300) {
            // Another close has no effect on the reason.
            client.cx.sleep_ms(client.range(0, 2_000));
            let reason = writer::any_reason(client);
            client.ask(&self.topic, Ask::close(Some(reason)));
        }
        if client.chance(300) {
            // A writer that comes back too late.
            let leases = client.sim().history.borrow().terms.leases;
            let skew_ms = leases.skew_ms.min(10_000) * 2;
            client.cx.sleep_ms(self.secs.min(5) * 1000 + skew_ms + 50);
            client.ask(&self.topic, client.append());
        }
    }

    /// Repeats the last append of its producer for longer than the lease, as a writer does that is
    /// stuck.
    fn repeat(&self) {
        let Some(last) = &self.last else { return };
        let lease_ms = self.secs.min(5) * 1000;
        for _ in 0..self.client.range(4, 12) {
            self.client.cx.sleep_ms(lease_ms.min(1_500));
            self.client.ask(&self.topic, last.clone());
        }
    }
}

/// Waits at the tail of a stream until the stream is closed, or the run ends.
fn poll_to_end(client: &Client<'_>, topic: &Topic) {
    let run = client.sim().next_id();
    let mut from = From::Start;
    while !client.sim().ending.get() {
        match read_page(client, topic, run, from, Live::Poll) {
            Came::Page { ended: true, .. } => return,
            Came::Page { to, .. } => from = From::At(to),
            Came::Gone | Came::Nothing => client.cx.sleep_ms(client.range(5, 100)),
        }
    }
}
