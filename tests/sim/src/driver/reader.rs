//! An exchange after its first step: delivers answers, waits and resumes.

use super::{Broken, Exchange, Part, Server, step};
use crate::history::{Event, Offset, Wait};
use crate::planted::Planted;
use crate::tasks::Cx;
use durable_streams_edge::protocol::cursor;
use durable_streams_edge::service::exchange::{Answer, Cause, Cursor, Next, ResponseContext};

/// An exchange that was started.
pub(super) struct Reader<'c> {
    cx: &'c Cx<'c>,
    server: &'c Server<'c>,
    exchange: Exchange,
    held: ResponseContext,
    began_us: u64,
    at: Option<Offset>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(cx: &'c Cx<'c>, server: &'c Server<'c>, exchange: Exchange) -> Self {
        Self {
            cx,
            server,
            at: exchange.request.at,
            exchange,
            held: ResponseContext::default(),
            began_us: cx.now_us(),
        }
    }

    /// Handles answers until the exchange is over.
    pub(super) fn go_on(mut self, mut answer: Answer, mut noted: u64) {
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
            if cause == Cause::Draining && matches!(answer.next, Next::Change { .. }) {
                // A draining instance has nothing more to send.
                answer.next = Next::Done;
            }
        }
    }

    /// Resumes, and tries once more if changes under the step were lost.
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

    /// Sends the contents of an answer.
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

    /// Waits for a change of `key` after `noted`. Returns `None` if the instance or the client is
    /// gone.
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
            if sim.nodes.borrow()[self.server.env().node()].draining {
                sim.reach("waits ended by a drain");
                return Some(Cause::Draining);
            }
            let now = cx.now_us();
            let polls = sim.plan.poll_ms > 0;
            let changed = match polls {
                true => looked,
                false => sim.store.borrow().model().last_change(key) > noted,
            };
            if changed {
                sim.reach("waits ended by a change");
                return Some(Cause::Changed);
            }
            if now >= until {
                sim.reach("waits ended by time");
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
fn last_offset(body: &[u8]) -> Option<Offset> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.rsplit_once("\"streamNextOffset\":\"")?;
    Offset::parse(after.get(..33)?)
}
