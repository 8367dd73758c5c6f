//! How often a waiting reader reads the head again on a platform that reports no changes.

use super::service;

/// The pause before the next read of a head that did not change for `quiet_ms`, in milliseconds: a
/// tenth of that time, from `poll_min_ms` to `poll_max_ms`.
pub(super) fn pause_ms(quiet_ms: u64) -> u64 {
    let service = service();
    let config = service.config();
    (quiet_ms / 10)
        .max(config.poll_min_ms)
        .min(config.poll_max_ms.max(config.poll_min_ms))
}
