//! The table of metrics: name, kind, labels, meaning. The guide `docs/monitoring.md` has it too; a
//! test compares the two.

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A count that only grows until the server is started again.
    Counter,
    /// A value of this moment.
    Gauge,
    /// Durations, in buckets.
    Histogram,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Names of its labels.
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
    /// Upper bounds of the buckets of a histogram, in seconds.
    pub(crate) buckets: &'static [f64],
}

/// Buckets for requests: from an append in memory to a long-poll.
const REQUEST: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// Buckets for steps and store calls: from a read in memory to a lost network.
const STEP: &[f64] = &[
    0.000_001, 0.000_005, 0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005,
    0.01, 0.025, 0.1, 0.5, 2.5,
];
/// Buckets for syncs: from a disk with a protected cache to a failing one.
const SYNC: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
    5.0,
];

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    buckets: &'static [f64],
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
        buckets,
    }
}

macro_rules! table {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal $(, $buckets:ident)?;)*) => {
        $(
            #[doc = $help]
            pub(crate) const $id: Metric = metric(
                concat!("durable_streams_", $name),
                Kind::$kind,
                &[$($label),*],
                $help,
                table!(@buckets $($buckets)?),
            );
        )*
        /// All metrics of the table.
        pub(crate) const TABLE: &[Metric] = &[$($id),*];
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

table! {
    BUILD_INFO: Gauge "build_info" ["version"] "Always 1; the label has the version.";
    REQUESTS: Counter "requests_total" ["operation", "status"] "Requests answered, by operation and status code.";
    REQUEST_DURATION: Histogram "request_duration_seconds" ["operation"] "Time from the head of a request to the head of its response.", REQUEST;
    UNKNOWN_OUTCOMES: Counter "unknown_outcomes_total" [] "Responses OUTCOME_UNKNOWN: a write that may or may not have been applied.";
    LIVE_READERS: Gauge "live_readers" ["mode"] "Live reads under way, by long-poll and by SSE.";
    WAKE_DURATION: Histogram "wake_duration_seconds" [] "Time from noticing a change of a stream until the readers that waited for it have the data. Only with --via exchange.", REQUEST;
    RECEIVED_BYTES: Counter "received_bytes_total" ["listener"] "Bytes received from clients, with heads and framing.";
    SENT_BYTES: Counter "sent_bytes_total" ["listener"] "Bytes sent to clients, with heads and framing.";
    CONNECTIONS_ACCEPTED: Counter "connections_accepted_total" ["listener"] "Connections accepted.";
    CONNECTIONS_REFUSED: Counter "connections_refused_total" ["listener"] "Connections closed at once, since their address had too many.";
    CONNECTIONS: Gauge "connections" ["listener"] "Open connections.";
    CONNECTION_PLACES: Gauge "connection_places" ["listener"] "Most connections at a time.";
    UNSENT_BYTES: Gauge "unsent_bytes" ["listener"] "Room in use for responses that clients have not taken.";
    UNSENT_LIMIT_BYTES: Gauge "unsent_limit_bytes" ["listener"] "Room for responses that clients have not taken.";
    STEP_DURATION: Histogram "step_duration_seconds" ["kind"] "Time of a step of an instance. Only with --via exchange.", STEP;
    INSTANCES: Gauge "instances" [] "Instances of the component. Only with --via exchange.";
    INSTANCES_STARTED: Counter "instances_started_total" [] "Instances started. Only with --via exchange.";
    STEPS_FAILED: Counter "steps_failed_total" [] "Steps that broke their instance, which is then replaced. Only with --via exchange.";
    QUEUED_STEPS: Gauge "queued_steps" ["length"] "Steps that wait for an instance, by expected length. Only with --via exchange.";
    BACKGROUND_PIECES: Counter "background_pieces_total" ["result"] "Pieces of background work, by whether there was something to do. Only with --via exchange.";
    BACKGROUND_BEHIND: Gauge "background_behind_seconds" [] "Time since background work last found nothing to do: the age of its backlog. Only with --via exchange.";
    STORE_CALLS: Counter "store_calls_total" ["call", "result"] "Calls of the store. The result conflict is a swap that another writer preceded.";
    STORE_CALL_DURATION: Histogram "store_call_duration_seconds" ["call"] "Time of calls of the store: of all calls over a network, of one in 64 otherwise.", STEP;
    LEASES: Counter "leases_total" ["change"] "Leases of writers that began, ended with a close or with the stream, or lapsed, by commits of this host.";
    STORE_LOSSES: Counter "store_losses_total" [] "Times that the store lost changes. A file store acknowledged none of them; Redis may have done so.";
    STORE_TIMELINE: Gauge "store_timeline" [] "Timeline of the store. It rises when the store goes back to an older state.";
    STORE_WRITABLE: Gauge "store_writable" [] "1 if the store takes writes, 0 if it refuses them until a restart.";
    COMMIT_DURATION: Histogram "log_commit_duration_seconds" [] "Time to write a batch of changes to the log, with its sync. Only for files.", SYNC;
    SYNC_DURATION: Histogram "log_sync_duration_seconds" [] "Time of a sync of the log. Only for files with --durability sync.", SYNC;
    LOG_BYTES: Gauge "log_bytes" [] "Bytes of the log. Only for files.";
    LOG_LIVE_BYTES: Gauge "log_live_bytes" [] "Bytes of records in use; the rest of the log is garbage. Only for files.";
    LOG_SEGMENTS: Gauge "log_segments" [] "Segments of the log. Only for files.";
    LOG_KEYS: Gauge "log_keys" [] "Keys with a value. Only for files.";
    LOG_QUEUED: Gauge "log_queued_changes" [] "Changes that wait for the next batch. Only for files.";
    LOG_DAMAGE: Counter "log_damage_total" [] "Damaged records that the scrub found. Only for files.";
    DISK_FREE_BYTES: Gauge "disk_free_bytes" [] "Free bytes of the disk of the store. Only for files.";
    DISK_FULL: Gauge "disk_full" [] "1 while the disk is so full that only deletions are accepted, else 0. Only for files.";
    CACHE_BYTES: Gauge "cache_bytes" [] "Bytes of cached values. Only for files.";
    CACHE_HITS: Counter "cache_hits_total" [] "Reads of values that the cache had. Only for files.";
    CACHE_MISSES: Counter "cache_misses_total" [] "Reads of values that the cache did not have. Only for files.";
    LOG_LINES_DROPPED: Counter "log_lines_dropped_total" [] "Lines of the log that were dropped, since standard error was not read in time.";
    SPANS: Counter "spans_total" ["result"] "Spans of traces that were exported, that the collector did not take, or that were dropped since too many waited.";
    PREFIX_STREAMS: Gauge "prefix_streams" ["prefix"] "Streams of a prefix that a limit names.";
    PREFIX_BYTES: Gauge "prefix_bytes" ["prefix"] "Bytes of the streams of a prefix that a limit names.";
    PREFIX_READERS: Gauge "prefix_live_readers" ["prefix"] "Live reads of a prefix that a limit names.";
    PREFIX_LIMIT: Gauge "prefix_limit" ["prefix", "limit"] "Limit of a prefix, by the kind of limit; the prefix * has the limits of each other prefix.";
    PREFIX_REFUSED: Counter "prefix_refused_total" ["prefix", "limit"] "Requests refused by a limit of a prefix; the prefix * has those of all other prefixes.";
    WEBHOOKS: Counter "webhooks_total" ["result"] "Requests to webhooks, by class of the status, or failed without a response.";
    WEBHOOK_DURATION: Histogram "webhook_duration_seconds" [] "Time from sending a request to a webhook to the head of its response.", REQUEST;
}

/// Metrics of the process. The crate `metrics-process` records them, all as gauges.
#[cfg(test)]
pub(crate) const PROCESS: &[&str] = &[
    "durable_streams_process_cpu_seconds_total",
    "durable_streams_process_max_fds",
    "durable_streams_process_open_fds",
    "durable_streams_process_resident_memory_bytes",
    "durable_streams_process_start_time_seconds",
    "durable_streams_process_threads",
    "durable_streams_process_virtual_memory_bytes",
    "durable_streams_process_virtual_memory_max_bytes",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_guide_has_this_table_and_nothing_else() {
        let guide = include_str!("../../docs/monitoring.md");
        for metric in TABLE {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels: Vec<_> = metric
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
            let line = format!("| `{name}` | {kind} | {labels} | {help} |");
            assert!(guide.contains(&line), "missing: {line}");
        }
        for name in PROCESS {
            let row = format!("| `{name}` | gauge | ");
            assert!(guide.contains(&row), "missing: {row}");
        }
        let rows = guide
            .lines()
            .filter(|line| line.starts_with("| `durable_streams_"));
        assert_eq!(rows.count(), TABLE.len() + PROCESS.len(), "rows of old");
    }

    #[test]
    fn names_are_distinct_and_have_base_units_and_the_suffix_of_their_kind() {
        let names: HashSet<_> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            let name = metric.name;
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            let is_histogram = metric.kind == Kind::Histogram;
            assert_eq!(!metric.buckets.is_empty(), is_histogram, "{name}");
            assert!(!is_histogram || name.ends_with("_seconds"), "{name}");
            assert!(metric.buckets.is_sorted(), "{name}");
            for unit in ["_ms", "_millis", "_micros", "_kb", "_mb", "_percent"] {
                assert!(!name.contains(unit), "{name}");
            }
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }
}
