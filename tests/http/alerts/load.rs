//! More work than a server over a slow store can do.

use super::{ADMIN, Fault, Watch, serve};
use crate::common::concurrently;

pub(super) fn outruns_background_work(fault: &Fault) {
    let server = serve("memory", ADMIN, &["--inject", "latency:10"]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    // Each of these deletions leaves a chunk to background work.
    concurrently(8, |_| {
        for _ in 0..5 {
            let stream = server.stream("text/plain");
            stream.append("x".repeat(50_000));
            stream.delete().send().expect(204);
        }
    });
    watch.expect_fires(|| ());
    watch.expect_clears(fault.name);
}
