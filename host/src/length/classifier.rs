//! Decides whether a request is long.

use super::costs::{Cost, Costs};
use super::ticket::Ticket;
use super::writes::{LongWrite, LongWrites};
use crate::limits::{LONG_BODY, LONG_JSON, LONG_PAGE};
use durable_streams_edge::protocol::request::{page_limit, subscription_id};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// Expected length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// A few milliseconds at most, usually far less than one.
    Short,
    /// Long enough that other requests must not wait for it.
    Long,
}

/// Length of a step, and its ticket.
#[derive(Debug)]
pub(crate) struct Class {
    /// Expected length.
    pub(crate) length: Length,
    /// Ticket to keep until the step is done.
    pub(crate) ticket: Ticket,
}

/// Decides which requests are long:
///
/// - a request with a large body;
/// - a write to a stream during another write with a large body to that stream;
/// - the creation of a subscription, which links every stream that its pattern matches;
/// - a request for a large page of a list;
/// - a request of a subscription after earlier requests of it made many store calls;
/// - a read or write of a path after earlier reads or writes of it made many store calls.
///
/// Results of webhooks and background work are long if earlier ones made many store calls.
#[derive(Debug)]
pub(crate) struct Classifier {
    base_path: String,
    costs: Arc<Costs>,
    writes: Arc<LongWrites>,
}

/// Judgement of a request without its body.
struct Judged {
    cost: Cost,
    is_long: bool,
    is_to_stream: bool,
}

impl Classifier {
    /// Creates a classifier without measurements, for requests to paths below this one.
    pub(crate) fn new(base_path: &str) -> Self {
        Self {
            base_path: base_path.to_owned(),
            costs: Arc::default(),
            writes: Arc::default(),
        }
    }

    /// Body length from which the request is long: zero if it is long even without a body.
    pub(crate) fn long_from(&self, parts: &Parts, path_hash: u64) -> usize {
        match self.judge(parts, path_hash).is_long {
            true => 0,
            false => large_from(&parts.headers),
        }
    }

    /// Classifies a request with a body of this length.
    pub(crate) fn classify(&self, parts: &Parts, path_hash: u64, body: usize) -> Class {
        let judged = self.judge(parts, path_hash);
        // For most requests, the first test makes the second unnecessary.
        let is_large = body >= LONG_JSON && body >= large_from(&parts.headers);
        // A write that merely follows a long one does not make later writes follow. Otherwise
        // several writers could keep the stream's writes long forever.
        let draws = is_large && judged.is_to_stream;
        let write = draws.then(|| self.writes.begin(path_hash));
        Class::new(is_large || judged.is_long, judged.cost, write)
    }

    /// Classifies a step that takes the result of a request to this webhook URL.
    pub(crate) fn delivery(&self, url: &str) -> Class {
        let cost = self.costs.of(("delivery", url));
        Class::new(cost.is_long(), cost, None)
    }

    /// Classifies a piece of background work.
    pub(crate) fn work(&self) -> Class {
        let cost = self.costs.of("work");
        Class::new(cost.is_long(), cost, None)
    }

    fn judge(&self, parts: &Parts, path_hash: u64) -> Judged {
        let is_write = !parts.method.is_safe();
        let query = parts.uri.query().unwrap_or_default();
        let page = page_limit(parts.uri.path(), query, &self.base_path);
        let is_large_page = page.is_some_and(|limit| limit > LONG_PAGE);
        match subscription_id(parts.uri.path(), &self.base_path) {
            Some(id) => {
                let cost = self.costs.of(("subscription", id));
                Judged {
                    is_long: parts.method == Method::PUT || cost.is_long(),
                    is_to_stream: false,
                    cost,
                }
            }
            None => {
                let cost = self.costs.at(path_hash.wrapping_add(u64::from(is_write)));
                let follows = is_write && self.writes.are_under_way(path_hash);
                Judged {
                    is_long: follows || is_large_page || cost.is_long(),
                    is_to_stream: true,
                    cost,
                }
            }
        }
    }
}

impl Class {
    fn new(is_long: bool, cost: Cost, write: Option<LongWrite>) -> Self {
        let length = match is_long {
            true => Length::Long,
            false => Length::Short,
        };
        let cost = Some(cost);
        let ticket = Ticket { cost, write };
        Self { length, ticket }
    }
}

/// Body length from which a body is large.
fn large_from(headers: &HeaderMap) -> usize {
    match is_json(headers) {
        true => LONG_JSON,
        false => LONG_BODY,
    }
}

/// Whether the body may need parsing. Requests with an invalid media type are refused anyway.
fn is_json(headers: &HeaderMap) -> bool {
    let json = b"json";
    let names_json = |value: &[u8]| {
        let mut words = value.windows(json.len());
        words.any(|word| word.eq_ignore_ascii_case(json))
    };
    let types = headers.get_all(CONTENT_TYPE);
    types.iter().any(|value| names_json(value.as_bytes()))
}
