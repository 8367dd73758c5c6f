//! A driver of the exchange (`src/wit/exchange.wit`) in virtual time: it moves bytes, waits and
//! calls the service. It knows no protocol.

mod connection;
mod reader;

pub(crate) use connection::{Connection, Part, Request};

use crate::faults::Fault;
use crate::forge::{renew_by_name, replace_reason};
use crate::instance::{Instance, Role};
use crate::planted::Planted;
use crate::sim::Sim;
use crate::tasks::{Cx, spawn};
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::Service;
use durable_streams_edge::service::exchange::{Answer, Next};
use kv_model::Settled;
use reader::Reader;
use std::rc::Rc;

/// A new exchange.
pub(crate) struct Exchange {
    request: Request,
    target: String,
    connection: Rc<Connection>,
}

impl Exchange {
    fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: self.request.method,
            scheme: Some("http"),
            authority: Some("a.example"),
            target: &self.target,
            headers: self.request.headers.as_packed(),
            body: &self.request.body,
            body_state: BodyState::Complete,
        }
    }
}

/// Appends that are started together.
pub(crate) type Batch = Vec<Exchange>;

/// Sends a request to an instance.
pub(crate) fn send(sim: &Rc<Sim>, node: usize, request: Request) -> Rc<Connection> {
    let connection = Rc::new(Connection::default());
    let rates = sim.rates.get();
    let breaks = sim.strikes(Fault::Disconnect, rates.disconnect);
    connection.breaks.set(breaks);
    let target = format!("/v1/stream/{}{}", request.name, request.query);
    let exchange = Exchange {
        request,
        target,
        connection: Rc::clone(&connection),
    };
    let way_us = sim.range((10, 1_000));
    spawn(sim, way_us, move |cx| arrive(cx, node, exchange));
    connection
}

fn arrive(cx: &Cx<'_>, node: usize, exchange: Exchange) {
    let sim = &cx.sim;
    let takes = {
        let node = &sim.nodes.borrow()[node];
        node.up && !node.draining
    };
    if !takes {
        exchange.connection.send(sim, Part::NoConnection);
        return;
    }
    let gather_us = sim.plan.gather_us;
    if exchange.request.method != "POST" || gather_us == 0 {
        return run(cx, node, vec![exchange]);
    }
    let place = (node, exchange.target.clone());
    let first = {
        let mut batches = sim.batches.borrow_mut();
        let batch = batches.entry(place.clone()).or_default();
        batch.push(exchange);
        batch.len() == 1
    };
    if first {
        cx.sleep_us(sim.range((1, gather_us)));
        let batch = sim.batches.borrow_mut().remove(&place);
        run(cx, node, batch.unwrap_or_default());
    }
}

type Server<'c> = Service<Instance<'c>>;

/// Why there is no answer.
enum Broken {
    /// The instance crashed.
    Dead,
    /// Changes that the step read or wrote were lost.
    Lost,
}

/// Runs a step, and waits until every change that the step read or wrote is durable. Also returns
/// the number of the latest change before the step.
fn step<T>(cx: &Cx<'_>, server: &Server<'_>, step: impl FnOnce() -> T) -> Result<(T, u64), Broken> {
    let latest = || cx.sim.store.borrow().model().latest();
    let mut noted = latest();
    server.env().begin();
    let done = step();
    loop {
        if server.env().is_dead() {
            return Err(Broken::Dead);
        }
        let settled = cx.sim.store.borrow().model().settled(server.env().met());
        match settled {
            Settled::NotYet if cx.sim.plants(Planted::AnswersTooEarly, 1000) => break,
            Settled::Durable => break,
            Settled::Lost => return Err(Broken::Lost),
            Settled::NotYet => cx.sleep_us(cx.sim.plan.sync_us / 2 + 1),
        }
    }
    if cx.sim.plants(Planted::WakeMissed, 1000) {
        cx.sleep_us(1_000);
        noted = latest();
    }
    Ok((done, noted))
}

/// Applies the planted bugs that follow a request that was done.
fn forge_done(sim: &Rc<Sim>, node: usize, request: &Request, answer: &Answer) {
    let done = answer.head.as_ref().is_some_and(|head| head.status == 204);
    if !done || request.method != "POST" {
        return;
    }
    let text = |name: &str| std::str::from_utf8(request.headers.get(name)?).ok();
    let duplicate = !request.body.is_empty() && text("producer-id").is_some();
    if duplicate && sim.plants(Planted::LeaseRenewedByDuplicate, 1000) {
        renew_by_name(sim, &request.name, sim.clock_ms(node));
    }
    if let Some(reason) = text("stream-closed-reason")
        && sim.plants(Planted::ReasonOverwritten, 1000)
    {
        replace_reason(sim, &request.name, reason);
    }
}

/// Runs the exchanges of a batch until each is over.
fn run(cx: &Cx<'_>, node: usize, exchanges: Batch) {
    let sim = &cx.sim;
    let role = match exchanges.first() {
        Some(first) if first.request.method == "POST" => Role::Writer,
        _ => Role::Reader,
    };
    let server = Service::new(Instance::new(cx, node, role));
    if exchanges.len() == 1 && exchanges[0].request.method == "POST" {
        let twice = sim.plants(Planted::AppendStartedTwice, 50);
        if twice {
            let raw = exchanges[0].raw();
            let _ = step(cx, &server, || server.start(&[raw], None));
        }
    }
    let mut open = exchanges;
    let mut attempt: Option<Vec<u8>> = None;
    while !open.is_empty() {
        if open.len() > 1 {
            sim.reach("appends started together");
        }
        let raws: Vec<_> = open.iter().map(Exchange::raw).collect();
        let stepped = step(cx, &server, || server.start(&raws, attempt.as_deref()));
        let (answers, noted) = match stepped {
            Ok(done) => done,
            Err(broken) => {
                for exchange in &open {
                    exchange.connection.send(
                        sim,
                        match broken {
                            Broken::Dead => Part::Reset,
                            Broken::Lost => Part::Lost,
                        },
                    );
                }
                return;
            }
        };
        for (exchange, answer) in open.iter().zip(&answers) {
            forge_done(sim, node, &exchange.request, answer);
        }
        let mut again = Vec::new();
        let mut next: Option<(u64, Vec<u8>)> = None;
        for (exchange, answer) in open.into_iter().zip(answers) {
            match answer.next {
                Next::Again { wait_ms, attempt } => {
                    let one = (wait_ms, attempt);
                    let same = next.as_ref().is_none_or(|other| *other == one);
                    assert!(same, "driver: attempts differ");
                    next = Some(one);
                    again.push(exchange);
                }
                _ => Reader::new(cx, &server, exchange).go_on(answer, noted),
            }
        }
        open = again;
        if let Some((wait_ms, bytes)) = next {
            sim.reach("requests started again");
            attempt = Some(bytes);
            cx.sleep_ms(wait_ms);
        }
    }
}
