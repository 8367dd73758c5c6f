//! Whole responses, before the common header fields are added.

use crate::protocol::control::Refused;
use crate::protocol::headers;
use crate::protocol::problem::Problem;
use crate::protocol::response::Head;
use crate::stream::{Closed, Lease};
use serde::{Deserialize, Serialize};

/// Adds the fields of a closed stream: that it is closed, and why if the close said so.
pub(super) fn closed_fields(head: &mut Head, closed: Option<&Closed>) {
    let Some(closed) = closed else {
        return;
    };
    head.push(headers::STREAM_CLOSED, "true");
    if let Some(reason) = &closed.reason {
        head.push(headers::STREAM_CLOSED_REASON, reason.as_str());
    }
}

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
    /// Response without a body, not stored by caches.
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

    /// Adds the fields of a closed stream.
    pub(super) fn closed(mut self, closed: Option<&Closed>) -> Self {
        closed_fields(&mut self.head, closed);
        self
    }

    /// Adds the fields of a lease, as it is at `clock_ms`.
    pub(super) fn lease(self, lease: Option<Lease>, clock_ms: u64) -> Self {
        match lease {
            Some(lease) => self
                .with(headers::STREAM_LEASE, lease.secs.to_string())
                .with(
                    headers::STREAM_LEASE_REMAINING,
                    lease.remaining_secs(clock_ms).to_string(),
                ),
            None => self,
        }
    }

    /// Response with this JSON document.
    pub(super) fn json(status: u16, document: &impl Serialize) -> Self {
        let mut reply = Self::write(status).with(headers::CONTENT_TYPE, "application/json");
        // Texts, numbers and flags always serialize.
        reply.body = serde_json::to_vec(document).unwrap_or_default();
        reply
    }

    /// The response that reports an error of a control call.
    pub(super) fn refused(refused: &Refused) -> Self {
        let status = refused.code.status();
        let mut reply = Self::write(status).with(headers::CONTENT_TYPE, "application/json");
        reply.body = refused.body();
        reply.problem = Some(refused.code.as_str());
        reply
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
