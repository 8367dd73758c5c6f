//! Cursors (section 10.1): numbers that grow with time and with every change of a stream, so that
//! readers of one state share an edge request and nobody gets the same cached answer for ever.
//!
//! The specification's random jitter would give every reader its own; the head's version in the
//! sum does the same work and is the same for all.

/// 2024-10-09T00:00:00Z in milliseconds since 1970.
const EPOCH_MS: u64 = 1_728_432_000_000;

/// Length of an interval.
const INTERVAL_MS: u64 = 20_000;

/// Largest cursor; clients in JavaScript read them as numbers.
const MAX: u64 = (1 << 53) - 1;

/// The cursor of a head with this version at this time, in milliseconds since 1970.
#[must_use]
pub fn at(now_ms: u64, version: u64) -> u64 {
    let interval = now_ms.saturating_sub(EPOCH_MS) / INTERVAL_MS;
    interval.saturating_add(version).min(MAX)
}

/// Reads the cursor that a client echoes. What the server can't have written is none; so is the
/// largest one, since nothing can be above it.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value.filter(|value| *value < MAX)
}

/// `value`, or the next one after the reader's own where that is larger.
#[must_use]
pub fn above(value: u64, floor: Option<u64>) -> u64 {
    let next = floor.map_or(0, |floor| floor.saturating_add(1));
    value.max(next).min(MAX)
}
