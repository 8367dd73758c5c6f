//! The host's own limits: name, default, reason. The component has its own, in its `limits`.
//!
//! `docs/configuration.md` has this table; a test compares the two.

#[cfg(test)]
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of responses that wait for the clients of one process. Reads wait while there is no room.
pub(crate) const UNSENT: usize = 128 * MIB;
/// Bytes of responses that wait for the client of one connection.
pub(crate) const UNSENT_OF_CONNECTION: usize = 4 * MIB;
/// Bytes of one response outside of its connection's share.
pub(crate) const UNSENT_OF_EXCHANGE: usize = 64 * KIB;
/// Bytes of one response that are not counted: they cost no more than the request did.
pub(crate) const UNCOUNTED: usize = KIB;
/// Longest wait of a read for room.
pub(crate) const ROOM_PATIENCE: Duration = Duration::from_secs(30);
/// Average bytes a second that a client must take while bytes wait for it.
pub(crate) const LEAST_RATE: u32 = 1024;
/// Longest lag behind that rate; also the longest time for a client to take nothing at all.
pub(crate) const STALL: Duration = Duration::from_secs(60);
/// Bytes a second that a connection must take while others wait for its room.
pub(crate) const LEAST_RATE_IN_NEED: u64 = 16 * 1024;
/// Observation time before a connection is ended for falling below that rate.
pub(crate) const NEED_PERIOD: Duration = Duration::from_secs(3);
/// Pause between two connections that are ended for that reason.
pub(crate) const NEED_LOOK: Duration = Duration::from_millis(10);
/// Concurrent requests on one HTTP/2 connection.
pub(crate) const HTTP2_STREAMS: u32 = 256;
/// Largest request head that the server reads. The component enforces `max_header_bytes`, which is
/// at most half of this.
pub(crate) const HEAD_BYTES: usize = 128 * KIB;
/// Largest number of fields that the server reads in a head.
pub(crate) const HEAD_FIELDS: usize = 256;
/// Longest time for a connection to begin, and for a head to arrive.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest time for a handshake of TLS.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of responses that a connection of TLS holds encrypted until the system takes them. They no
/// longer count as unsent.
pub(crate) const TLS_UNSENT: usize = 32 * KIB;
/// Interval of pings to an HTTP/2 client, and longest time for its answer.
pub(crate) const PING: Duration = Duration::from_secs(30);

/// Places of each listener for connections to `/health` and `/readyz`. On the admin listener they also
/// serve its other resources, but no streams.
pub(crate) const PROBE_PLACES: usize = 4;
/// Longest idle time of a connection in such a place.
pub(crate) const PROBE_IDLE: Duration = Duration::from_secs(5);
/// Divisor of all places: with fewer free places than the quotient, the server closes idle
/// connections.
pub(crate) const PLACES_LEFT: usize = 10;
/// Divisor of all places, and of the room for responses: one address gets at most the quotient.
pub(crate) const ADDRESS_PART: usize = 2;
/// Seconds that a connection may stay without a request: longer than common load balancers keep
/// idle connections.
pub(crate) const IDLE_SECS: u16 = 620;

/// Connections of the admin listener. They are few, as each needs a descriptor besides the places.
pub(crate) const ADMIN_PLACES: usize = 64;
/// Bytes of responses that wait for the clients of the admin listener.
pub(crate) const ADMIN_UNSENT: usize = 16 * MIB;

/// Prefixes without a limit of their own whose streams are counted one by one.
pub(crate) const PREFIXES: usize = 65_536;
/// Most backups that are taken from a server at a time. Each of them keeps removed segments on the
/// disk.
pub(crate) const BACKUPS: usize = 4;
/// Time without a request after which a backup ends.
pub(crate) const BACKUP_IDLE: Duration = Duration::from_secs(60);
/// Time without a request after which a backup makes room for another one. Its client was probably
/// killed, and runs again.
pub(crate) const BACKUP_SILENCE: Duration = Duration::from_secs(1);

/// Length from which a JSON body makes a request long: this many bytes take about 3 ms to parse and
/// store.
pub(crate) const LONG_JSON: usize = 256 * KIB;
/// Length from which any other body makes a request long. Such bytes are only copied.
pub(crate) const LONG_BODY: usize = 2 * MIB;
/// Limit of a list beyond which the request for its page is long: the page reads as many records.
pub(crate) const LONG_PAGE: usize = 100;
/// Store calls in one step from which further steps of its kind are long: about 1 ms in memory, and
/// 50 ms over Redis.
pub(crate) const LONG_CALLS: u32 = 512;
/// Instances for short requests per instance for long requests. There is at least one for long
/// requests.
pub(crate) const SHORT_TO_LONG: usize = 8;
/// Bytes of request bodies that wait for one instance for long requests. The room fits eight bodies
/// of the default `max_append_bytes`.
pub(crate) const LONG_ROOM: usize = 96 * MIB;

/// Default value, in its unit.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
enum Value {
    Bytes(usize),
    PerSecond(u64),
    Time(Duration),
    Count(u64),
    /// One of this many parts.
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
const TABLE: [Limit; 32] = [
    row(
        "Unsent bytes of responses, in the process",
        Value::Bytes(UNSENT),
        "Limits the memory that slow clients can use. Further reads wait before they read the store",
    ),
    row(
        "Unsent bytes of responses, of one connection",
        Value::Bytes(UNSENT_OF_CONNECTION),
        "One client can't take all the room. A few pages keep a fast connection busy",
    ),
    row(
        "Bytes of one response that do not count for its connection",
        Value::Bytes(UNSENT_OF_EXCHANGE),
        "Small responses are sent while large ones of the same connection wait",
    ),
    row(
        "Longest wait of a read for room",
        Value::Time(ROOM_PATIENCE),
        "Then 503 `UNAVAILABLE` with `Retry-After`: nothing was read, and the client may retry",
    ),
    row(
        "Lowest rate at which a client may take its data",
        Value::PerSecond(LEAST_RATE as u64),
        "Applies only while data waits. Slower than any link that is used for reading",
    ),
    row(
        "Time that a client may fall behind that rate",
        Value::Time(STALL),
        "A phone that loses its network for a moment continues",
    ),
    row(
        "Lowest rate while other reads wait for room",
        Value::PerSecond(LEAST_RATE_IN_NEED),
        "The server then closes the slowest connection of the address that uses most room",
    ),
    row(
        "Time that a connection is watched before that",
        Value::Time(NEED_PERIOD),
        "A single pause does not make a client slow",
    ),
    row(
        "Requests of one HTTP/2 connection at a time",
        Value::Count(HTTP2_STREAMS as u64),
        "More than a page of live reads needs",
    ),
    row(
        "Head of a request",
        Value::Bytes(HEAD_BYTES),
        "Twice the largest `max_header_bytes`, so that the component can explain the error",
    ),
    row(
        "Fields in a head",
        Value::Count(HEAD_FIELDS as u64),
        "No client sends as many",
    ),
    row(
        "Time for a head to arrive",
        Value::Time(HEAD_TIMEOUT),
        "A client that sends nothing occupies a connection",
    ),
    row(
        "Time for a handshake of TLS",
        Value::Time(HANDSHAKE_TIMEOUT),
        "A client that does not finish it occupies a connection",
    ),
    row(
        "Encrypted bytes that a connection of TLS holds",
        Value::Bytes(TLS_UNSENT),
        "They come on top of its unsent bytes. A client at the least rate takes them in time",
    ),
    row(
        "Time between two pings of an HTTP/2 client",
        Value::Time(PING),
        "The server closes the connection if no answer comes within the same time",
    ),
    row(
        "Idle time of a connection (`--idle-timeout`)",
        Value::Time(Duration::from_secs(IDLE_SECS as u64)),
        "Above the 600 s that common load balancers keep idle connections",
    ),
    row(
        "Unsent bytes of responses, of one address",
        Value::Part(ADDRESS_PART),
        "Leaves room for other addresses. With `--trust-forwarded-for` a proxy may use all of it",
    ),
    row(
        "Places of one address (`--connections-per-address`)",
        Value::Part(ADDRESS_PART),
        "One address can't take all places",
    ),
    row(
        "Free places below which the server closes the oldest idle connections",
        Value::Part(PLACES_LEFT),
        "New clients find a place",
    ),
    row(
        "Places that each listener keeps for probes, and the admin listener for `/metrics` too",
        Value::Count(PROBE_PLACES as u64),
        "Without an answer, a supervisor would restart a server that is only busy",
    ),
    row(
        "Connections of the admin listener",
        Value::Count(ADMIN_PLACES as u64),
        "A page, a few tools and a scraper. They do not count as places",
    ),
    row(
        "Unsent bytes of responses, of the admin listener",
        Value::Bytes(ADMIN_UNSENT),
        "Clients of the main listener can't take this room",
    ),
    row(
        "Counted prefixes of the rule `*` (`--limit`)",
        Value::Count(PREFIXES as u64),
        "Limits memory. Beyond it, no stream can be created in another prefix",
    ),
    row(
        "Backups of a server at a time",
        Value::Count(BACKUPS as u64),
        "Each backup keeps removed data on the disk until it ends",
    ),
    row(
        "Time without a request after which a backup ends",
        Value::Time(BACKUP_IDLE),
        "Frees the data that the backup of a killed client keeps on the disk",
    ),
    row(
        "Time without a request after which a backup makes room for another one",
        Value::Time(BACKUP_SILENCE),
        "Lets a client that was killed start again",
    ),
    row(
        "JSON body that makes a request long",
        Value::Bytes(LONG_JSON),
        "It keeps an instance busy for about 3 ms. Short requests do not wait for it",
    ),
    row(
        "Other body that makes a request long",
        Value::Bytes(LONG_BODY),
        "It is copied but not parsed, so it may be larger",
    ),
    row(
        "Limit of a list beyond which its page is long",
        Value::Count(LONG_PAGE as u64),
        "A page reads one record for each entry. Pages of the default size are short",
    ),
    row(
        "Store calls of a step after which its subscription or path is long",
        Value::Count(LONG_CALLS as u64),
        "For example, a claim reads the head of every linked stream. The first such request is served as a short one",
    ),
    row(
        "Instances for long requests, as a part of the other instances",
        Value::Part(SHORT_TO_LONG),
        "At least one. Long requests wait for each other",
    ),
    row(
        "Request bodies that wait for one instance for long requests",
        Value::Bytes(LONG_ROOM),
        "Room for nine bodies of the default `max_append_bytes`. Further requests get 503 `OVERLOADED`",
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
