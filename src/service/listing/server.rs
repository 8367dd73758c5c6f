//! `GET {base_path}/__ds`: describes the server. Needs no token, and has no secrets.

use crate::limits::{
    FORK_DEPTH, LIST_DEFAULT, LIST_LIMIT, MAX_FIELD_BYTES, MAX_JSON_DEPTH, MAX_TARGET_BYTES,
    SUBSCRIPTION_LINKS, TAIL_BYTES, TAIL_MESSAGES, WRITER_LEASE_SECS,
};
use crate::protocol::control::{LimitsDocument, ServerDocument};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::reply::Reply;

/// Version of the specification.
const PROTOCOL: &str = "1.0";

/// Additions to the specification, described in `docs/extensions.md` and `docs/protocol.md`.
const EXTENSIONS: &[&str] = &[
    "close-reasons",
    "leases",
    "stop",
    "if-match",
    "listing",
    "tail",
    "tick",
    "timelines",
];

pub(super) fn describe<E: Env>(core: &Core<E>) -> Reply {
    let config = &core.config;
    let max_stream = config.max_stream_bytes;
    Reply::json(
        200,
        &ServerDocument {
            server: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            protocol: PROTOCOL,
            extensions: EXTENSIONS,
            access_control: core.access.is_on(),
            registry: config.registry,
            timeline: config.timeline,
            limits: LimitsDocument {
                max_append_bytes: config.max_append_bytes,
                max_stream_bytes: (max_stream != 0).then_some(max_stream),
                page_bytes: config.page_bytes,
                max_name_bytes: config.max_name_bytes,
                max_name_segments: config.max_name_segments,
                max_target_bytes: MAX_TARGET_BYTES,
                max_header_bytes: config.max_header_bytes,
                max_field_bytes: MAX_FIELD_BYTES,
                max_json_depth: MAX_JSON_DEPTH,
                max_producers: config.max_producers,
                producer_idle_secs: config.producer_idle_secs,
                max_fork_depth: FORK_DEPTH,
                max_subscription_streams: SUBSCRIPTION_LINKS,
                long_poll_timeout_secs: config.long_poll_timeout_secs,
                sse_max_secs: config.sse_max_secs,
                list_default: LIST_DEFAULT,
                list_max: *LIST_LIMIT.end(),
                lease_min_secs: *WRITER_LEASE_SECS.start(),
                lease_max_secs: *WRITER_LEASE_SECS.end(),
                lease_skew_ms: config.lease_skew_ms,
                tail_max_messages: TAIL_MESSAGES,
                tail_max_bytes: TAIL_BYTES,
            },
        },
    )
}
