//! Whether there are spans.

use std::sync::atomic::{AtomicBool, Ordering};

/// Target of all spans.
pub(super) const TARGET: &str = "durable_streams::trace";

static ON: AtomicBool = AtomicBool::new(false);

/// Whether spans are made.
pub(crate) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Makes spans from now on.
pub(super) fn turn_on() {
    ON.store(true, Ordering::Relaxed);
}
