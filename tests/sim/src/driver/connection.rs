//! The two ends of an exchange: the client's and the driver's.

use crate::history::Offset;
use crate::sim::Sim;
use crate::tasks::{Cx, TaskId};
use durable_streams_edge::protocol::packed::Fields;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// A request under way.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
    /// The reader's offset, as far as its request shows.
    pub(crate) at: Option<Offset>,
}

/// A part of the response.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// No instance took the request.
    NoConnection,
    /// The host has no answer from its instance.
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
    pub(super) left: Cell<bool>,
    /// Whether the response gets lost.
    pub(super) breaks: Cell<bool>,
}

impl Connection {
    pub(super) fn send(&self, sim: &Sim, part: Part) {
        let part = match self.breaks.get() {
            true => Part::Reset,
            false => part,
        };
        self.parts.borrow_mut().push_back(part);
        if let Some(client) = self.client.take() {
            sim.tasks.wake(client, &sim.random);
        }
    }

    /// The next part; `None` after `until_us`.
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

    /// Marks the connection as left by its client.
    pub(crate) fn leave(&self) {
        self.left.set(true);
    }
}
