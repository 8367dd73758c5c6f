//! Tasks and threads that nothing goes on without.
//!
//! If one of them panics the process ends: whoever waits for it would wait for ever, and what it was
//! at is half done in memory. The store's log is whole at any moment, and whoever supervises the
//! process starts it again.

use crate::telemetry;
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A task that may end, but not by a panic.
pub(crate) async fn task(what: &'static str, task: impl Future<Output = ()>) {
    // What it leaves behind is never looked at.
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        end(what);
    }
}

/// The same on a thread of its own.
pub(crate) fn thread(what: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        end(what);
    }
}

fn end(what: &str) {
    telemetry::died(what);
    std::process::abort();
}
