//! Time and blocking waits.

use wasi::clocks::monotonic_clock::{self, subscribe_instant};
use wasi::io::poll::{Pollable, poll};

const MS: u64 = 1_000_000;

/// The monotonic clock, in nanoseconds.
pub(super) fn now() -> u64 {
    monotonic_clock::now()
}

/// The moment `ms` milliseconds after `start`.
pub(super) const fn after(start: u64, ms: u64) -> u64 {
    start.saturating_add(ms.saturating_mul(MS))
}

/// Milliseconds since `start`.
pub(super) fn since_ms(start: u64) -> u64 {
    now().saturating_sub(start) / MS
}

/// Blocks for `ms` milliseconds.
pub(super) fn pause(ms: u64) {
    until(after(now(), ms));
}

/// Blocks until `end`.
pub(super) fn until(end: u64) {
    subscribe_instant(end).block();
}

/// Blocks until `ready`, at most until `end`. Returns whether it is ready.
pub(super) fn ready_by(ready: &Pollable, end: u64) -> bool {
    ready.ready() || poll(&[ready, &subscribe_instant(end)]).contains(&0)
}
