//! Whole responses, before the fields that every answer has.

use super::core::{Core, Fault};
use super::env::Env;
use crate::keys::Corrupt;
use crate::keys::codec::{Reader, Writer};
use crate::protocol::headers;
use crate::protocol::packed::Fields;
use crate::protocol::problem::Problem;
use crate::protocol::response::Head;

/// A response that depends on nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    /// The problem's code, for the log.
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

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.varint(u64::from(self.head.status));
        writer.text(self.head.headers.as_packed());
        writer.text(&self.body);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let status = u16::try_from(reader.varint()?).map_err(|_| Corrupt)?;
        let headers = Fields::from_packed(reader.text()?.to_vec());
        let body = reader.text()?.to_vec();
        Ok(Self {
            head: Head { status, headers },
            body,
            problem: None,
        })
    }
}

impl<E: Env> Core<'_, E> {
    /// The response to a fault, which is logged.
    pub(super) fn fault(&self, fault: &Fault, instance: &str) -> Reply {
        let path = instance.split_once('?').map_or(instance, |(path, _)| path);
        Reply::problem(&self.log_fault(fault, Some(path)), instance)
    }

    /// Logs a fault of a request for `path`, or of none, and says what its sender is told.
    pub(super) fn log_fault(&self, fault: &Fault, path: Option<&str>) -> Problem {
        let problem = super::problems::fault(fault);
        super::log::fault(self.env, self.config, fault, &problem, path);
        problem
    }
}
