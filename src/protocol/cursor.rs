//! Cursors (section 10.1): numbers that grow with time and with every change of a stream. So
//! readers of one state share an edge request, and no reader gets the same cached response forever.
//!
//! With the specification's random jitter, every reader would have its own cursor. The head's
//! version in the sum also changes the cursor, and is equal for all readers.

/// 2024-10-09T00:00:00Z in milliseconds since 1970.
const EPOCH_MS: u64 = 1_728_432_000_000;

/// Length of an interval, in milliseconds.
const INTERVAL_MS: u64 = 20_000;

/// Largest cursor; clients in JavaScript read them as numbers.
const MAX: u64 = (1 << 53) - 1;

/// Returns the cursor for a head of this version at this time, in milliseconds since 1970.
#[must_use]
pub fn at(now_ms: u64, version: u64) -> u64 {
    let interval = now_ms.saturating_sub(EPOCH_MS) / INTERVAL_MS;
    interval.saturating_add(version).min(MAX)
}

/// Parses the cursor that a client echoes. Returns `None` for a value that the server can't have
/// written. The largest cursor is ignored too, since no cursor can be above it.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value.filter(|value| *value < MAX)
}

/// Returns `value`, or the cursor after the reader's own if that is larger.
#[must_use]
pub fn above(value: u64, floor: Option<u64>) -> u64 {
    let next = floor.map_or(0, |floor| floor.saturating_add(1));
    value.max(next).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_counts_intervals_since_its_epoch_and_versions() {
        assert_eq!(at(0, 0), 0);
        assert_eq!(at(EPOCH_MS - 1, 7), 7);
        assert_eq!(at(EPOCH_MS + 19_999, 0), 0);
        assert_eq!(at(EPOCH_MS + 20_000, 0), 1);
        assert_eq!(at(EPOCH_MS + 40_000, 5), 7);
        assert_eq!(at(u64::MAX, u64::MAX), MAX);
    }

    #[test]
    fn the_epoch_is_the_one_of_the_specification() {
        assert_eq!(
            super::super::time::parse("2024-10-09T00:00:00Z"),
            Ok(EPOCH_MS)
        );
    }

    #[test]
    fn a_cursor_that_the_server_can_not_have_sent_is_none() {
        for text in ["", "-1", "+1", " 1", "1 ", "1.0", "1e3", "abc", "\u{0661}"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("99999999999999999999999"), None);
        assert_eq!(parse("9007199254740991"), None);
        assert_eq!(parse("9007199254740990"), Some(MAX - 1));
        assert_eq!(parse("007"), Some(7));
    }

    proptest! {
        #[test]
        fn the_answer_to_an_echoed_cursor_is_above_it(value: u64, text in "[0-9]{0,20}") {
            let floor = parse(&text);
            let cursor = above(value, floor);
            prop_assert!(cursor <= MAX);
            prop_assert!(floor.is_none_or(|floor| cursor > floor));
            prop_assert!(cursor >= value.min(MAX));
        }

        #[test]
        fn cursors_grow_with_time_and_version(now: u64, version: u64, later: u64, more: u64) {
            let next = at(now.saturating_add(later), version.saturating_add(more));
            prop_assert!(at(now, version) <= next);
        }

        #[test]
        fn any_floor_is_taken_without_a_panic(value: u64, floor: Option<u64>) {
            prop_assert!(above(value, floor) <= MAX);
        }
    }
}
