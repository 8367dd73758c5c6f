//! The clients of a run: small programs that record their requests and the answers.

mod follower;
mod forker;
mod http;
mod judge;
mod keeper;
mod reader;
mod sse;
mod worker;
mod writer;

pub(crate) use judge::{clear, judge};
pub(crate) use worker::drain;

use crate::driver::{Connection, Request, send};
use crate::history::{Ask, Body, Call, CallResult, Ends, Event, Offset};
use crate::instance::{Instance, Role};
use crate::plan::Topic;
use crate::planted::Planted;
use crate::sim::Sim;
use crate::tasks::{Cx, spawn};
use durable_streams_edge::service::Service;
use http::Response;
use std::rc::Rc;

/// Longest wait of a patient client, in microseconds.
const PATIENCE_US: u64 = 120_000_000;

/// Number of workers of the subscription, if the run has one.
const WORKERS: usize = 2;

/// Starts one more client after a delay. The run goes on until the client is done.
fn enter(sim: &Rc<Sim>, number: usize, after_us: u64, act: impl FnOnce(&Client<'_>) + 'static) {
    sim.busy.set(sim.busy.get() + 1);
    spawn(sim, after_us, move |cx| {
        act(&Client { cx, number });
        cx.sim.busy.set(cx.sim.busy.get() - 1);
    });
}

/// Begins the clients of a run.
pub(crate) fn begin(sim: &Rc<Sim>) {
    let workers = if sim.plan.subscribed { WORKERS } else { 0 };
    for number in 0..workers {
        enter(sim, number, 0, worker::serve);
    }
    for number in 0..sim.plan.keepers {
        sim.writers.set(sim.writers.get() + 1);
        enter(sim, sim.plan.clients + 1 + number, 0, |client| {
            keeper::keep(client);
            client.sim().writers.set(client.sim().writers.get() - 1);
        });
    }
    for number in 0..sim.plan.clients {
        let after_us = sim.range((0, 20_000));
        let writes = !matches!(number % 5, 2 | 3);
        sim.writers.set(sim.writers.get() + usize::from(writes));
        enter(sim, number, after_us, move |client| {
            let sim = client.sim();
            match number % 5 {
                0 => writer::produce(client),
                3 => reader::read(client),
                2 => follower::follow(client, sim.chance(500)),
                _ if sim.plan.forks && sim.chance(700) => forker::fork(client),
                _ => writer::write(client),
            }
            sim.writers.set(sim.writers.get() - usize::from(writes));
        });
    }
}

/// Creates the streams and appends to some, before any fault.
pub(crate) fn set_up(sim: &Rc<Sim>) {
    enter(sim, 0, 0, |client| {
        let sim = client.sim();
        for topic in &sim.plan.topics {
            if sim.plan.racy || (topic.prefill == 0 && sim.chance(300)) {
                // The first client creates it.
                continue;
            }
            client.create(topic, Ends::Never, false);
            for _ in 0..topic.prefill {
                let append = client.append();
                client.ask(topic, append);
            }
        }
        if sim.plan.subscribed {
            worker::subscribe(client);
        }
    });
}

/// Does background work while the run goes on.
pub(crate) fn work(cx: &Cx<'_>, any_node: impl Fn(&Cx<'_>) -> usize) {
    let mut round = 0;
    while !cx.sim.ending.get() {
        cx.sleep_ms(cx.sim.range((50, 500)));
        work_once(cx, any_node(cx), round);
        round += 1;
    }
}

fn work_once(cx: &Cx<'_>, node: usize, round: u64) {
    if cx.sim.nodes.borrow()[node].up {
        let server = Service::new(Instance::new(cx, node, Role::Worker));
        server.env().begin();
        server.work(round);
    }
}

/// A client.
struct Client<'c> {
    cx: &'c Cx<'c>,
    number: usize,
}

impl Client<'_> {
    fn sim(&self) -> &Rc<Sim> {
        &self.cx.sim
    }

    fn range(&self, least: u64, most: u64) -> u64 {
        self.sim().range((least, most))
    }

    fn chance(&self, per_mille: u64) -> bool {
        self.sim().chance(per_mille)
    }

    fn think(&self) {
        self.cx.sleep_ms(self.range(0, self.sim().plan.think_ms));
    }

    fn any_topic(&self) -> Rc<Topic> {
        let topics = self.sim().topics.borrow();
        let known: Vec<_> = topics.iter().filter(|topic| !topic.private).collect();
        let any = self.range(0, known.len() as u64 - 1);
        Rc::clone(known[any as usize])
    }

    /// Sends a request to any instance.
    fn connect(&self, request: Request) -> Rc<Connection> {
        let node = self.range(0, self.sim().plan.nodes as u64 - 1);
        send(self.sim(), node as usize, request)
    }

    /// A new body with a unique id.
    fn body(&self) -> Body {
        let messages = match self.chance(150) {
            true => self.range(2, 5) as u32,
            false => 1,
        };
        Body {
            id: self.sim().next_id(),
            messages,
        }
    }

    /// A plain append of a new body.
    fn append(&self) -> Ask {
        Ask::append(Some(self.body()))
    }

    /// A length for a writer's lease, in seconds. Most leases lapse within a run.
    fn lease(&self) -> u64 {
        let secs = [1, 1, 2, 3, 5, 20, 60];
        secs[self.range(0, secs.len() as u64 - 1) as usize]
    }

    /// A lease for a stream that clients replace when it is closed, in some runs with leases.
    fn any_lease(&self, topic: &Topic) -> Option<u64> {
        let leased = self.sim().plan.leases && topic.mortal && self.chance(300);
        leased.then(|| self.lease())
    }

    /// The last tail of the stream that a client saw.
    fn seen_tail(&self, topic: &Topic) -> Option<Offset> {
        self.sim().tails.borrow().get(&topic.name).copied()
    }

    /// Sends a request that is answered at once, and records it.
    fn ask(&self, topic: &Topic, ask: Ask) -> (CallResult, Response) {
        let began = self.cx.now_us();
        let response = self.exchange(self.request(topic, &ask), PATIENCE_US);
        let mut result = response.result();
        if let (Ask::Append { body: Some(_), .. }, CallResult::Done { .. }) = (&ask, &result)
            && self.sim().plants(Planted::RefusedThoughDone, 30)
        {
            result = CallResult::Refused(503, "UNAVAILABLE".to_owned());
        }
        self.reach_of_leases(&ask, &result);
        self.sim().reach(match (&ask, &result) {
            (Ask::Create { fork: None, .. }, CallResult::Done { status: 201, .. }) => {
                "streams created"
            }
            (Ask::Create { .. }, CallResult::Done { status: 201, .. }) => "forks created",
            (Ask::Create { fork: Some(_), .. }, CallResult::Refused(400..500, _)) => {
                "forks refused"
            }
            (Ask::Delete, CallResult::Done { .. }) => "streams deleted",
            (_, CallResult::Done { .. }) => "other requests done",
            (_, CallResult::Refused(404, _)) => "requests refused, no stream",
            (_, CallResult::Refused(400..500, _)) => "requests refused, conflicts",
            (_, CallResult::Refused(..)) => "requests refused, store",
            (_, CallResult::Unknown(_)) => "requests of unknown outcome",
        });
        self.sim().record(Event::Call(Call {
            client: self.number,
            name: topic.name.clone(),
            ask,
            began,
            ended: self.cx.now_us(),
            result: result.clone(),
            reason: response.reason(),
        }));
        if let CallResult::Done {
            tail: Some(tail), ..
        } = result
        {
            self.sim().saw_tail(topic, tail);
        }
        if response.none == Some("NO_CONNECTION") {
            self.cx.sleep_ms(self.range(5, 50));
        }
        (result, response)
    }

    /// Counts points of interest of leases and conditional appends.
    fn reach_of_leases(&self, ask: &Ask, result: &CallResult) {
        let Ask::Append {
            body,
            close,
            reason,
            lease,
            expected,
            ..
        } = ask
        else {
            return;
        };
        let done = matches!(result, CallResult::Done { .. });
        if lease.is_some() && body.is_none() && !close {
            self.sim().reach(match done {
                true => "heartbeats done",
                false => "heartbeats not done",
            });
        }
        if reason.is_some() && done {
            self.sim().reach("closes with a reason");
        }
        if expected.is_some() {
            match result {
                CallResult::Done { .. } => self.sim().reach("conditional appends done"),
                CallResult::Refused(412, _) => self.sim().reach("conditional appends refused"),
                _ => {}
            }
        }
    }

    fn create(&self, topic: &Topic, ends: Ends, close: bool) -> CallResult {
        let body = self.chance(600).then(|| self.body());
        let create = Ask::Create {
            body,
            ends,
            close,
            fork: None,
            lease: self.any_lease(topic),
        };
        self.ask(topic, create).0
    }
}
