//! Tasks and threads that the server can't go on without.
//!
//! If one of them panics the process ends: its waiters would wait for ever, and its work is half done
//! in memory. The store's log is whole at any moment, and a supervisor starts the process again.

use crate::telemetry;
use futures::FutureExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A task that may end, but not by a panic.
pub(crate) async fn task(what: &'static str, task: impl Future<Output = ()>) {
    // The state that it leaves behind is not used again.
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
