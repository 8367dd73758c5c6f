//! Whole responses, before the common header fields are added.

use crate::protocol::headers;
use crate::protocol::problem::Problem;
use crate::protocol::response::Head;
use serde::{Deserialize, Serialize};

/// A response that depends on no further step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    /// The problem's code, for the log.
    #[serde(skip)]
    pub(super) problem: Option<&'static str>,
}

impl Reply {
    /// Response of a write: no body, not stored by caches.
    pub(super) fn write(status: u16) -> Self {
        let head = Head::new(status).with(headers::CACHE_CONTROL, "no-store");
        Self {
            head,
            body: Vec::new(),
            problem: None,
        }
    }

    /// Adds one header field.
    pub(super) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.push(name, value);
        self
    }

    /// Adds `stream-closed` if `closed` is true.
    pub(super) fn closed(self, closed: bool) -> Self {
        match closed {
            true => self.with(headers::STREAM_CLOSED, "true"),
            false => self,
        }
    }

    /// The response that reports a problem of the request with the target `instance`.
    pub(super) fn problem(problem: &Problem, instance: &str) -> Self {
        Self {
            head: Head::problem(problem),
            body: problem.body(Some(instance)),
            problem: Some(problem.code.as_str()),
        }
    }
}
