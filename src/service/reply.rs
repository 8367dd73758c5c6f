//! Whole responses, before the fields that every answer has.

use crate::protocol::headers;
use crate::protocol::problem::Problem;
use crate::protocol::response::Head;
use serde::{Deserialize, Serialize};

/// A response that depends on nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    /// The problem's code, for the log.
    #[serde(skip)]
    pub(super) problem: Option<&'static str>,
}

impl Reply {
    /// A response of a write: no body, not to be kept by caches.
    pub(super) fn write(status: u16) -> Self {
        let head = Head::new(status).with(headers::CACHE_CONTROL, "no-store");
        Self {
            head,
            body: Vec::new(),
            problem: None,
        }
    }

    /// The same with one more header field.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.push(name, value);
        self
    }

    /// The same with `stream-closed`, if it is.
    pub(super) fn closed(self, closed: bool) -> Self {
        match closed {
            true => self.with(headers::STREAM_CLOSED, "true"),
            false => self,
        }
    }

    /// The response of a problem with the request `instance`.
    pub(super) fn problem(problem: &Problem, instance: &str) -> Self {
        Self {
            head: Head::problem(problem),
            body: problem.body(Some(instance)),
            problem: Some(problem.code.as_str()),
        }
    }
}
