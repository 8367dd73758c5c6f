//! Tasks and threads that the server depends on.
//!
//! If one of them panics, the process ends. Otherwise its waiters would wait for ever, and its work
//! would stay half done in memory. The store's log is consistent at any moment, and a supervisor
//! restarts the process.

use crate::telemetry;
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a task that may end, but not by a panic.
pub(crate) async fn task(name: &'static str, task: impl Future<Output = ()>) {
    // The state after a panic is not used again.
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        end(name);
    }
}

/// Likewise for a function on its own thread.
pub(crate) fn thread(name: &str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        end(name);
    }
}

fn end(name: &str) {
    telemetry::died(name);
    std::process::abort();
}
