//! Numbers of timelines. A store begins a new timeline when it goes back to an older state.

use durable_streams_edge::limits::MAX_TIMELINE;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2026-01-01T00:00:00Z, in seconds since 1970.
const NEW_YEAR: u64 = 1_767_225_600;

/// Returns the timeline that follows `old` at this time. Two restores of one backup in different
/// minutes get different numbers.
pub(crate) fn next(old: u64, now: SystemTime) -> u64 {
    let new_year = UNIX_EPOCH.checked_add(Duration::from_secs(NEW_YEAR));
    let since = new_year.and_then(|new_year| now.duration_since(new_year).ok());
    let minutes = since.map_or(0, |since| since.as_secs() / 60);
    minutes.max(old.saturating_add(1)).min(MAX_TIMELINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_newer_than_the_last_one_and_names_the_minute() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        assert_eq!(next(0, at(NEW_YEAR + 3 * 60 + 59)), 3);
        assert_eq!(next(7, at(NEW_YEAR + 3 * 60)), 8);
        assert_eq!(next(7, at(0)), 8);
        assert_eq!(next(MAX_TIMELINE, at(NEW_YEAR)), MAX_TIMELINE);
    }
}
