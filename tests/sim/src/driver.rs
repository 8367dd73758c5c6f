//! What a driver of the exchange owes (`src/wit/exchange.wit`): it moves bytes, waits and calls, in
//! virtual time. No protocol.

use crate::env::Instance;
use crate::faults::Fault;
use crate::history::{Event, Place, Wait};
use crate::planted::Planted;
use crate::sim::Sim;
use crate::store::Settled;
use crate::tasks::{Cx, TaskId, spawn};
use durable_streams_edge::protocol::cursor;
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::Service;
use durable_streams_edge::service::exchange::{Answer, Cause, Cursor, Held, Next};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// A request on its way.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
    /// Where a reader is, as far as it says.
    pub(crate) at: Option<Place>,
}

/// What comes back of it.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// There was nobody to take the request.
    NoConnection,
    /// The host has no answer of its instance: whether it was a safe request.
    Lost,
    Head(u16, Fields),
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// The connection of one exchange, seen from both ends.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    parts: RefCell<VecDeque<Part>>,
    client: Cell<Option<TaskId>>,
    /// Whether the client left.
    left: Cell<bool>,
    /// Whether the response will get lost.
    breaks: Cell<bool>,
}

impl Connection {
    fn send(&self, sim: &Sim, part: Part) {
        let part = match self.breaks.get() {
            true => Part::Reset,
            false => part,
        };
        self.parts.borrow_mut().push_back(part);
        if let Some(client) = self.client.take() {
            sim.tasks.wake(client, &sim.random);
        }
    }

    /// The next part, unless it takes too long.
    pub(crate) fn next(&self, cx: &Cx<'_>, until_us: u64) -> Option<Part> {
        loop {
            if let Some(part) = self.parts.borrow_mut().pop_front() {
                return Some(part);
            }
            if cx.now_us() >= until_us {
                return None;
            }
            self.client.set(Some(cx.task()));
            cx.pause_until(until_us);
        }
    }

    /// Says that nobody listens any more.
    pub(crate) fn leave(&self) {
        self.left.set(true);
    }
}

/// An exchange that begins.
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

/// Hands a request to an instance.
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
    if !sim.nodes.borrow()[node].up {
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
    /// What it was built on is gone.
    Lost,
}

/// Runs a step, and waits until what it met is durable. With the number of the latest change from
/// before it.
fn step<T>(cx: &Cx<'_>, server: &Server<'_>, step: impl FnOnce() -> T) -> Result<(T, u64), Broken> {
    let latest = || cx.sim.store.borrow().latest();
    let mut noted = latest();
    server.env().begin();
    let done = step();
    loop {
        if server.env().is_dead() {
            return Err(Broken::Dead);
        }
        let settled = cx.sim.store.borrow().settled(server.env().met());
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

/// Runs the exchanges of a batch until each is over.
fn run(cx: &Cx<'_>, node: usize, exchanges: Batch) {
    let sim = &cx.sim;
    let server = Service::new(Instance::new(cx, node));
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
            attempt = Some(bytes);
            cx.sleep_ms(wait_ms);
        }
    }
}

/// An exchange that was started.
struct Reader<'c> {
    cx: &'c Cx<'c>,
    server: &'c Server<'c>,
    exchange: Exchange,
    held: Held,
    began_us: u64,
    at: Option<Place>,
}

impl<'c> Reader<'c> {
    fn new(cx: &'c Cx<'c>, server: &'c Server<'c>, exchange: Exchange) -> Self {
        Self {
            cx,
            server,
            at: exchange.request.at,
            exchange,
            held: Held::default(),
            began_us: cx.now_us(),
        }
    }

    /// Takes answers until the exchange is over.
    fn go_on(mut self, mut answer: Answer, mut noted: u64) {
        let sim = &self.cx.sim;
        loop {
            let next = self.deliver(answer);
            let (token, cause) = match next {
                Next::Done => return self.exchange.connection.send(sim, Part::End),
                Next::Reset => return self.exchange.connection.send(sim, Part::Reset),
                Next::Again { .. } => panic!("driver: a resumed exchange is started again"),
                Next::Ready(token) => (token, Some(Cause::Ready)),
                Next::Change {
                    token,
                    key,
                    max_wait_ms,
                } => {
                    let began = self.cx.now_us();
                    let cause = self.wait(&key, noted, max_wait_ms);
                    sim.record(Event::Wait(Wait {
                        name: self.exchange.request.name.clone(),
                        at: self.at,
                        began,
                        ended: self.cx.now_us(),
                    }));
                    (token, cause)
                }
            };
            let Some(cause) = cause else {
                return self.exchange.connection.send(sim, Part::Reset);
            };
            let resumed = self.resume(&token, cause);
            let Some(resumed) = resumed else {
                return self.exchange.connection.send(sim, Part::Reset);
            };
            (answer, noted) = resumed;
        }
    }

    /// Resumes, and once more if what the step was built on is gone.
    fn resume(&self, token: &[u8], cause: Cause) -> Option<(Answer, u64)> {
        for _ in 0..2 {
            if self.exchange.connection.left.get() {
                return None;
            }
            match step(self.cx, self.server, || self.server.resume(token, cause)) {
                Ok(done) => return Some(done),
                Err(Broken::Dead) => return None,
                Err(Broken::Lost) => {}
            }
        }
        None
    }

    /// Sends what an answer holds.
    fn deliver(&mut self, mut answer: Answer) -> Next {
        let sim = &self.cx.sim;
        let connection = &self.exchange.connection;
        if let Some(held) = answer.held.take() {
            self.held = held;
        }
        let floor = self.held.cursor_floor;
        let mut body = answer.body;
        let mut header = None;
        match answer.cursor {
            Cursor::None => {}
            Cursor::Header(value) => header = Some(cursor::above(value, floor)),
            Cursor::Event(value, after) => {
                body.extend(cursor::above(value, floor).to_string().into_bytes());
                body.extend(after);
            }
        }
        if let Some(mut head) = answer.head {
            head.headers.append(&self.held.headers);
            if let Some(value) = header {
                head.headers.push("stream-cursor", value.to_string());
            }
            connection.send(sim, Part::Head(head.status, head.headers));
        }
        if !body.is_empty() {
            if let Some(at) = last_offset(&body) {
                self.at = Some(at);
                if sim.plants(Planted::EventTwice, 50) {
                    connection.send(sim, Part::Bytes(body.clone()));
                }
            }
            connection.send(sim, Part::Bytes(body));
        }
        answer.next
    }

    /// Waits for a change of `key` after `noted`. `None` if there is nobody to go on.
    fn wait(&self, key: &str, noted: u64, max_wait_ms: u64) -> Option<Cause> {
        let (cx, sim) = (self.cx, &self.cx.sim);
        let after = |from_us: u64, ms: u64| from_us.saturating_add(ms.saturating_mul(1000));
        let over = after(cx.now_us(), max_wait_ms);
        let age = self.held.max_age_ms.unwrap_or(u64::MAX);
        let old = after(self.began_us, age);
        let until = over.min(old);
        let mut looked = false;
        loop {
            if self.server.env().is_dead() || self.exchange.connection.left.get() {
                return None;
            }
            let now = cx.now_us();
            let polls = sim.plan.poll_ms > 0;
            let changed = match polls {
                true => looked,
                false => sim.store.borrow().last_change(key) > noted,
            };
            if changed {
                return Some(Cause::Changed);
            }
            if now >= until {
                return Some(if now >= old {
                    Cause::Expired
                } else {
                    Cause::Timeout
                });
            }
            if polls {
                cx.sleep_us((until - now).min(sim.plan.poll_ms * 1000));
                looked = true;
            } else {
                let mut store = sim.store.borrow_mut();
                let watchers = store.watchers.entry(key.to_owned()).or_default();
                watchers.push(cx.task());
                drop(store);
                cx.pause_until(until);
            }
        }
    }
}

/// The offset of the last control event in the bytes of an event stream.
fn last_offset(body: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.rsplit_once("\"streamNextOffset\":\"")?;
    Place::parse(after.get(..33)?)
}
