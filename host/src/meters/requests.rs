//! Requests: their operations, statuses and durations.

use super::recorder::Meters;
use super::table::{LIVE_READERS, REQUEST_DURATION, REQUESTS, UNKNOWN_OUTCOMES};
use durable_streams_edge::protocol::name::RESERVED;
use durable_streams_edge::protocol::paths::{HEALTH, READY};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode, Uri};
use metrics::{Counter, Gauge, Histogram};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `PUT` of a stream.
    Create,
    /// `POST` to a stream, also one that closes it.
    Append,
    /// `GET` of a stream that does not wait.
    Read,
    /// `GET` of a stream by long-poll.
    LongPoll,
    /// `GET` of a stream by SSE.
    Sse,
    /// `HEAD` of a stream.
    Head,
    /// `DELETE` of a stream.
    Delete,
    /// Requests under `__ds`.
    Control,
    /// Probes of the server's health.
    Probe,
    /// Any other request.
    Other,
}

const OPERATIONS: [(Operation, &str); 10] = [
    (Operation::Create, "create"),
    (Operation::Append, "append"),
    (Operation::Read, "read"),
    (Operation::LongPoll, "long_poll"),
    (Operation::Sse, "sse"),
    (Operation::Head, "head"),
    (Operation::Delete, "delete"),
    (Operation::Control, "control"),
    (Operation::Probe, "probe"),
    (Operation::Other, "other"),
];

/// Statuses with a label of their own, in order.
const STATUSES: [(u16, &str); 31] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (416, "416"),
    (417, "417"),
    (421, "421"),
    (422, "422"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (507, "507"),
];
/// Label of any other status.
const OTHER_STATUS: &str = "other";
/// Faults of the server. Their series exist from the start: of a series that begins with its first
/// fault, Prometheus would not see that fault.
const FAULTS: [u16; 3] = [500, 503, 507];

/// The operation of a request to a server with this base path.
pub(crate) fn classify(method: &Method, uri: &Uri, base_path: &str) -> Operation {
    let path = uri.path();
    if HEALTH.contains(&path) || path == READY {
        return Operation::Probe;
    }
    let rest = path.strip_prefix(base_path.trim_end_matches('/'));
    let Some(name) = rest.and_then(|rest| rest.strip_prefix('/')) else {
        return Operation::Other;
    };
    let first = name.split('/').next().unwrap_or(name);
    match *method {
        _ if first == RESERVED => Operation::Control,
        Method::GET => live(uri.query().unwrap_or_default()),
        Method::POST => Operation::Append,
        Method::PUT => Operation::Create,
        Method::HEAD => Operation::Head,
        Method::DELETE => Operation::Delete,
        _ => Operation::Other,
    }
}

fn live(query: &str) -> Operation {
    let mut modes = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("live="));
    match modes.next() {
        Some("sse") => Operation::Sse,
        Some("long-poll") => Operation::LongPoll,
        _ => Operation::Read,
    }
}

impl Operation {
    /// The operation's name in metrics and traces.
    pub(crate) fn name(self) -> &'static str {
        OPERATIONS[self as usize].1
    }
}

/// Metrics of requests.
pub(crate) struct RequestMeters {
    meters: Arc<Meters>,
    operations: [OperationMeters; OPERATIONS.len()],
    unknown: Counter,
}

struct OperationMeters {
    name: &'static str,
    duration: Histogram,
    /// The counts by status, and that of other statuses. Created when first needed: most never are.
    statuses: [OnceLock<Counter>; STATUSES.len() + 1],
    live: Option<Gauge>,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Begun {
    operation: Operation,
    at: Instant,
}

impl Begun {
    /// The operation of the request.
    pub(crate) const fn operation(&self) -> Operation {
        self.operation
    }
}

/// A live read. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct LiveReader(Gauge);

impl Drop for LiveReader {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl RequestMeters {
    /// Handles of the metrics.
    pub(crate) fn new(meters: &Arc<Meters>) -> Arc<Self> {
        let operations = OPERATIONS.map(|(operation, name)| {
            let is_live = matches!(operation, Operation::LongPoll | Operation::Sse);
            let one = OperationMeters {
                name,
                duration: meters.histogram(&REQUEST_DURATION, &[name]),
                statuses: [const { OnceLock::new() }; STATUSES.len() + 1],
                live: is_live.then(|| meters.gauge(&LIVE_READERS, &[name])),
            };
            if operation != Operation::Other {
                for status in FAULTS {
                    one.count(meters, status).increment(0);
                }
            }
            if let Some(live) = &one.live {
                live.set(0.0);
            }
            one
        });
        Arc::new(Self {
            operations,
            unknown: meters.counter(&UNKNOWN_OUTCOMES, &[]),
            meters: Arc::clone(meters),
        })
    }

    /// Begins a request.
    pub(crate) fn begin(&self, operation: Operation) -> (Begun, Option<LiveReader>) {
        let at = Instant::now();
        let live = self.of(operation).and_then(|meters| meters.live.as_ref());
        let reader = live.map(|live| {
            live.increment(1.0);
            LiveReader(live.clone())
        });
        (Begun { operation, at }, reader)
    }

    /// Counts the response to a request.
    pub(crate) fn end(&self, begun: &Begun, status: StatusCode, headers: &HeaderMap) {
        // Of the problems with this status only one gives no time to try again.
        if status == StatusCode::SERVICE_UNAVAILABLE
            && begun.operation != Operation::Probe
            && !headers.contains_key(RETRY_AFTER)
        {
            self.unknown.increment(1);
        }
        let Some(meters) = self.of(begun.operation) else {
            return;
        };
        meters.duration.record(begun.at.elapsed());
        meters.count(&self.meters, status.as_u16()).increment(1);
    }

    fn of(&self, operation: Operation) -> Option<&OperationMeters> {
        self.operations.get(operation as usize)
    }
}

impl OperationMeters {
    fn count(&self, meters: &Meters, status: u16) -> &Counter {
        let (index, label) = match STATUSES.binary_search_by_key(&status, |(code, _)| *code) {
            Ok(index) => (index, STATUSES[index].1),
            Err(_) => (STATUSES.len(), OTHER_STATUS),
        };
        let create = || meters.counter(&REQUESTS, &[self.name, label]);
        self.statuses[index].get_or_init(create)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HeaderValue;

    #[test]
    fn requests_are_classified_by_method_path_and_mode() {
        for (method, target, expected) in [
            (Method::PUT, "/v1/stream/a", Operation::Create),
            (Method::POST, "/v1/stream/a/b", Operation::Append),
            (Method::GET, "/v1/stream/a?offset=-1", Operation::Read),
            (
                Method::GET,
                "/v1/stream/a?offset=-1&live=sse",
                Operation::Sse,
            ),
            (
                Method::GET,
                "/v1/stream/a?live=long-poll",
                Operation::LongPoll,
            ),
            (Method::GET, "/v1/stream/a?alive=sse", Operation::Read),
            (Method::HEAD, "/v1/stream/a", Operation::Head),
            (Method::DELETE, "/v1/stream/a", Operation::Delete),
            (Method::GET, "/v1/stream/__ds/streams", Operation::Control),
            (Method::POST, "/v1/stream/__ds", Operation::Control),
            (Method::GET, "/v1/stream/__dsx", Operation::Read),
            (Method::OPTIONS, "/v1/stream/a", Operation::Other),
            (Method::GET, "/v1/streams/a", Operation::Other),
            (Method::GET, "/metrics", Operation::Other),
            (Method::GET, "/readyz", Operation::Probe),
            (Method::HEAD, "/healthz", Operation::Probe),
        ] {
            let operation = classify(&method, &Uri::from_static(target), "/v1/stream");
            assert_eq!(operation, expected, "{method} {target}");
        }
        let root = classify(&Method::GET, &Uri::from_static("/a?live=sse"), "/");
        assert_eq!(root, Operation::Sse);
    }

    #[test]
    fn operations_and_statuses_are_found_by_their_places() {
        for (place, (operation, _)) in OPERATIONS.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
        assert!(STATUSES.is_sorted_by_key(|(code, _)| *code));
        for (code, label) in STATUSES {
            assert_eq!(code.to_string(), label);
        }
    }

    #[test]
    fn responses_are_counted_and_live_reads_are_while_they_last() {
        let meters = Meters::new();
        let requests = RequestMeters::new(&meters);
        let (begun, reader) = requests.begin(Operation::Sse);
        let live = "durable_streams_live_readers{mode=\"sse\"}";
        assert!(meters.render().contains(&format!("{live} 1\n")));
        requests.end(&begun, StatusCode::OK, &HeaderMap::new());
        requests.end(&begun, StatusCode::IM_A_TEAPOT, &HeaderMap::new());
        drop(reader);
        let text = meters.render();
        for line in [
            &format!("{live} 0\n"),
            "durable_streams_requests_total{operation=\"sse\",status=\"200\"} 1\n",
            "durable_streams_requests_total{operation=\"sse\",status=\"other\"} 1\n",
            "durable_streams_requests_total{operation=\"append\",status=\"503\"} 0\n",
            "durable_streams_request_duration_seconds_count{operation=\"sse\"} 2\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn an_unknown_outcome_is_a_503_that_does_not_ask_to_try_again() {
        let meters = Meters::new();
        let requests = RequestMeters::new(&meters);
        let retry = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("1"))]);
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let (append, _) = requests.begin(Operation::Append);
        requests.end(&append, status, &retry);
        requests.end(&append, status, &HeaderMap::new());
        requests.end(&append, StatusCode::OK, &HeaderMap::new());
        let text = meters.render();
        let line = "durable_streams_unknown_outcomes_total 1\n";
        assert!(text.contains(line), "{text}");
    }
}
