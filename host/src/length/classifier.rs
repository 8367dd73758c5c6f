//! The decision whether a request is long.

use super::costs::{Cost, Costs};
use super::ticket::Ticket;
use super::writes::{LongWrite, LongWrites};
use crate::limits::{LONG_BODY, LONG_JSON};
use durable_streams_edge::protocol::request::subscription_id;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method};
use std::sync::Arc;

/// How long a step is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Well below a millisecond, or a few of them.
    Short,
    /// Other requests must not wait for it.
    Long,
}

/// The length of a step, and its ticket.
#[derive(Debug)]
pub(crate) struct Class {
    /// The length.
    pub(crate) length: Length,
    /// To be kept until the step is done.
    pub(crate) ticket: Ticket,
}

/// Decides which requests are long:
///
/// - a request with a large body;
/// - a write to a stream to which a write with a large body is under way;
/// - the creation of a subscription, which links every stream that its pattern matches;
/// - a request of a subscription that took many calls of the store before, or a read or write of a
///   path whose reads or writes did.
///
/// Results of webhooks and background work are long if they took many calls before.
#[derive(Debug)]
pub(crate) struct Classifier {
    base_path: String,
    costs: Arc<Costs>,
    writes: Arc<LongWrites>,
}

/// The judgement of a request without its body.
struct Judged {
    cost: Cost,
    is_long: bool,
    is_to_stream: bool,
}

impl Classifier {
    /// A classifier of requests to paths below this one, which has measured nothing yet.
    pub(crate) fn new(base_path: &str) -> Self {
        Self {
            base_path: base_path.to_owned(),
            costs: Arc::default(),
            writes: Arc::default(),
        }
    }

    /// Bytes of the body from which the request is long. Zero if it is long without a body.
    pub(crate) fn long_from(&self, parts: &Parts, path_hash: u64) -> usize {
        match self.judge(parts, path_hash).is_long {
            true => 0,
            false => large_from(&parts.headers),
        }
    }

    /// The length of a request with a body of so many bytes.
    pub(crate) fn classify(&self, parts: &Parts, path_hash: u64, body: usize) -> Class {
        let judged = self.judge(parts, path_hash);
        // The first test spares most requests the second one.
        let is_large = body >= LONG_JSON && body >= large_from(&parts.headers);
        // A write that only follows a long one draws no others after it: with several writers that
        // would never end.
        let draws = is_large && judged.is_to_stream;
        let write = draws.then(|| self.writes.begin(path_hash));
        Class::new(is_large || judged.is_long, judged.cost, write)
    }

    /// The length of a step that takes the result of a request to this URL of a webhook.
    pub(crate) fn delivery(&self, url: &str) -> Class {
        let cost = self.costs.of(("delivery", url));
        Class::new(cost.is_long(), cost, None)
    }

    /// The length of a piece of background work.
    pub(crate) fn work(&self) -> Class {
        let cost = self.costs.of("work");
        Class::new(cost.is_long(), cost, None)
    }

    fn judge(&self, parts: &Parts, path_hash: u64) -> Judged {
        let is_write = !parts.method.is_safe();
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
                    is_long: follows || cost.is_long(),
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

/// Bytes from which a body is large.
fn large_from(headers: &HeaderMap) -> usize {
    match is_json(headers) {
        true => LONG_JSON,
        false => LONG_BODY,
    }
}

/// Whether the body may have to be parsed. A media type that is none is refused anyway.
fn is_json(headers: &HeaderMap) -> bool {
    let json = b"json";
    let names_json = |value: &[u8]| {
        let mut words = value.windows(json.len());
        words.any(|word| word.eq_ignore_ascii_case(json))
    };
    let types = headers.get_all(CONTENT_TYPE);
    types.iter().any(|value| names_json(value.as_bytes()))
}
