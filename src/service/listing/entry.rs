//! A stream as lists and descriptions show it.

use crate::protocol::control::ListedStream;
use crate::protocol::{offset, time};
use crate::stream::{Expiry, Head};

/// Renders a stream at `clock_ms`, milliseconds since 1970. `source` is the name of a fork's source.
pub(super) fn stream(head: &Head, clock_ms: u64, source: Option<String>) -> ListedStream {
    let now_ms = head.now_ms(clock_ms);
    let ttl_secs = match head.expiry {
        Expiry::Ttl { secs } => Some(secs),
        Expiry::Never | Expiry::At { .. } => None,
    };
    // Reads move this time too, if the stream has a TTL.
    let touched_at = Some(time::format(head.touched_ms));
    let (last_used_at, last_write_at) = match ttl_secs {
        Some(_) => (touched_at, None),
        None => (None, touched_at),
    };
    let lineage = head.lineage.as_ref();
    ListedStream {
        name: head.name.clone(),
        content_type: head.content_type.as_str().to_owned(),
        created_at: time::format(head.created_ms),
        last_write_at,
        last_used_at,
        next_offset: offset::format(head.tail()),
        bytes: head.bytes,
        closed: head.closed.is_some(),
        closed_reason: head.close_reason().map(str::to_owned),
        lease_secs: head.lease.map(|lease| lease.secs),
        lease_remaining_secs: head.lease.map(|lease| lease.remaining_secs(clock_ms)),
        ttl_secs,
        expires_at: head.expires_ms(now_ms).map(time::format),
        forked_from: source,
        fork_offset: lineage.map(|lineage| offset::format(lineage.point)),
        forks: head.forks.count,
    }
}
