//! More work than a server over a slow store can do.

use super::{ADMIN, Fault, Watch, serve};
use crate::common::{ServerUnderTest, concurrently};

pub(super) fn outruns_background_work(fault: &Fault) {
    let server = serve("memory", ADMIN, &["--inject", "latency:10"]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let mut is_begun = false;
    watch.expect_fires(|| {
        if !std::mem::replace(&mut is_begun, true) {
            delete_streams(&server);
        }
    });
    watch.expect_clears(fault.name);
}

/// Creates and deletes streams. Each deletion leaves a chunk to background work.
fn delete_streams(server: &ServerUnderTest) {
    concurrently(8, |_| {
        for _ in 0..5 {
            let stream = server.stream("text/plain");
            stream.append("x".repeat(50_000));
            stream.delete().send().expect(204);
        }
    });
}
