//! The host's own limits: name, default, reason. The component has its own, in its `limits`.
//!
//! `docs/configuration.md` has this table; a test compares the two.

#[cfg(test)]
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of responses that wait for the clients of one process. A read waits while there is no room.
pub(crate) const UNSENT: usize = 128 * MIB;
/// Bytes of responses that wait for the client of one connection.
pub(crate) const UNSENT_OF_CONNECTION: usize = 4 * MIB;
/// Bytes of one response that are outside of its connection's share.
pub(crate) const UNSENT_OF_EXCHANGE: usize = 64 * KIB;
/// Bytes of one response that are not counted: they cost no more than the request did.
pub(crate) const UNCOUNTED: usize = KIB;
/// How long a read waits for room.
pub(crate) const ROOM_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes a second that a client has to take, on average, while some wait for it.
pub(crate) const LEAST_RATE: u32 = 1024;
/// How far a client may fall behind that rate; also how long it may take nothing at all.
pub(crate) const STALL: Duration = Duration::from_secs(60);
/// Bytes a second that a connection has to take while others wait for its room.
pub(crate) const LEAST_RATE_IN_NEED: u64 = 16 * 1024;
/// How long a connection is watched before it is ended for that.
pub(crate) const NEED_PERIOD: Duration = Duration::from_secs(3);
/// Pause between two connections that are ended for that.
pub(crate) const NEED_LOOK: Duration = Duration::from_millis(10);
/// Requests of one HTTP/2 connection at a time.
pub(crate) const HTTP2_STREAMS: u32 = 256;
/// The largest head of a request that is read. `max_header_bytes`, which is for the component to
/// judge, is at most half of it.
pub(crate) const HEAD_BYTES: usize = 128 * KIB;
/// Fields of a head that are read at all.
pub(crate) const HEAD_FIELDS: usize = 256;
/// How long a connection may take to begin, and a head to come.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
pub(crate) const PING: Duration = Duration::from_secs(30);

/// Places for connections that are kept for `/health` and `/readyz`.
pub(crate) const PROBE_PLACES: usize = 4;
/// How long a connection in such a place may be idle.
pub(crate) const PROBE_IDLE: Duration = Duration::from_secs(5);
/// The part of all places, as a fraction of it, that is left when idle connections begin to be closed.
pub(crate) const PLACES_LEFT: usize = 10;
/// The part of all places, and of the room for responses, that one address gets.
pub(crate) const ADDRESS_PART: usize = 2;
/// How long a connection may be without a request, in seconds: longer than common balancers keep
/// theirs.
pub(crate) const IDLE_SECS: u16 = 620;

/// Bytes of a JSON body from which a request is long: they take about 3 ms to parse and store.
pub(crate) const LONG_JSON: usize = 256 * KIB;
/// Bytes of any other body from which a request is long. They are only copied.
pub(crate) const LONG_BODY: usize = 2 * MIB;
/// Calls of the store in one step from which further steps of its kind are long: about 1 ms in
/// memory, and 50 ms over Redis.
pub(crate) const LONG_CALLS: u32 = 512;
/// Instances for short requests to one for long requests. There is one for long requests at least.
pub(crate) const SHORT_TO_LONG: usize = 8;
/// Bytes of request bodies that wait for one instance for long requests. Eight bodies of the default
/// `max_append_bytes` fit.
pub(crate) const LONG_ROOM: usize = 96 * MIB;

/// A default, in its unit.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
enum Value {
    Bytes(usize),
    PerSecond(u64),
    Time(Duration),
    Count(u64),
    /// One of so many parts.
    Part(usize),
}

#[cfg(test)]
impl Display for Value {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) if bytes % MIB == 0 => write!(formatter, "{} MiB", bytes / MIB),
            Self::Bytes(bytes) => write!(formatter, "{} KiB", bytes / KIB),
            Self::PerSecond(bytes) => write!(formatter, "{} KiB/s", bytes / 1024),
            Self::Time(time) => write!(formatter, "{} s", time.as_secs()),
            Self::Count(count) => write!(formatter, "{count}"),
            Self::Part(parts) => write!(formatter, "1/{parts}"),
        }
    }
}

/// A row of the table.
#[cfg(test)]
struct Limit {
    name: &'static str,
    default: Value,
    reason: &'static str,
}

#[cfg(test)]
const fn row(name: &'static str, default: Value, reason: &'static str) -> Limit {
    Limit {
        name,
        default,
        reason,
    }
}

#[cfg(test)]
const TABLE: [Limit; 23] = [
    row(
        "Unsent bytes of responses, in the process",
        Value::Bytes(UNSENT),
        "Memory stays bounded whatever clients do. Further reads wait before they read the store",
    ),
    row(
        "Unsent bytes of responses, of one connection",
        Value::Bytes(UNSENT_OF_CONNECTION),
        "One client can't take all the room. A few pages keep a fast connection busy",
    ),
    row(
        "Piece of one response outside of its connection's share",
        Value::Bytes(UNSENT_OF_EXCHANGE),
        "Small answers pass while large ones of the same connection wait",
    ),
    row(
        "Wait of a read for room",
        Value::Time(ROOM_PATIENCE),
        "Then 503 `UNAVAILABLE` with `Retry-After`: nothing was read, and the client may come again",
    ),
    row(
        "Least rate at which a client takes its data",
        Value::PerSecond(LEAST_RATE as u64),
        "Counts only while data waits. Slower than any link that is used for reading",
    ),
    row(
        "Time that a client may fall behind that rate",
        Value::Time(STALL),
        "A phone that loses its network for a moment goes on",
    ),
    row(
        "Least rate while others wait for room",
        Value::PerSecond(LEAST_RATE_IN_NEED),
        "Below it, the address that holds most loses its slowest connection first",
    ),
    row(
        "Time that a connection is watched before that",
        Value::Time(NEED_PERIOD),
        "One pause is no slow client",
    ),
    row(
        "Requests of one HTTP/2 connection at a time",
        Value::Count(HTTP2_STREAMS as u64),
        "More than a page of live reads needs",
    ),
    row(
        "Head of a request",
        Value::Bytes(HEAD_BYTES),
        "Twice the largest `max_header_bytes`, so that the component can name the fault",
    ),
    row(
        "Fields in a head",
        Value::Count(HEAD_FIELDS as u64),
        "No client sends as many",
    ),
    row(
        "Time for a head to come",
        Value::Time(HEAD_TIMEOUT),
        "A client that does not begin holds a connection",
    ),
    row(
        "Time between two pings of an HTTP/2 client",
        Value::Time(PING),
        "As long again without an answer ends the connection",
    ),
    row(
        "Idle time of a connection (`--idle-timeout`)",
        Value::Time(Duration::from_secs(IDLE_SECS as u64)),
        "Above the 600 s that common balancers keep theirs",
    ),
    row(
        "Unsent bytes of responses, of one address",
        Value::Part(ADDRESS_PART),
        "Others find room at once. With `--trust-forwarded-for` all of it is the proxy's",
    ),
    row(
        "Places of one address (`--connections-per-address`)",
        Value::Part(ADDRESS_PART),
        "One source can't take everything",
    ),
    row(
        "Places that are left when the oldest idle connections are closed",
        Value::Part(PLACES_LEFT),
        "New clients find a place",
    ),
    row(
        "Places that are kept for `/health` and `/readyz`",
        Value::Count(PROBE_PLACES as u64),
        "A supervisor that gets no answer restarts a server that only is busy",
    ),
    row(
        "JSON body that makes a request long",
        Value::Bytes(LONG_JSON),
        "It keeps an instance busy for about 3 ms. Short requests do not wait for it",
    ),
    row(
        "Other body that makes a request long",
        Value::Bytes(LONG_BODY),
        "It is copied, and not parsed",
    ),
    row(
        "Store calls of a step after which its subscription or path is long",
        Value::Count(LONG_CALLS as u64),
        "A claim reads the head of every linked stream. The first one is served as a short request",
    ),
    row(
        "Instances for long requests, as a part of the others",
        Value::Part(SHORT_TO_LONG),
        "At least one. Long requests wait for each other",
    ),
    row(
        "Request bodies that wait for one instance for long requests",
        Value::Bytes(LONG_ROOM),
        "Eight of the default `max_append_bytes`, and one that is served. Further ones are 503 `OVERLOADED`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_guide_has_this_table() {
        let guide = include_str!("../docs/configuration.md");
        for Limit {
            name,
            default,
            reason,
        } in &TABLE
        {
            let line = format!("| {name} | {default} | {reason} |");
            assert!(guide.contains(&line), "missing: {line}");
        }
    }
}
