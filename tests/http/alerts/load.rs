//! More work than a server over a slow store can do.

use super::{ADMIN, Fault, Watch, on, serve, stop};
use crate::common::{Connection, concurrently};

pub(super) fn outruns_background_work(fault: &Fault) {
    let server = serve("memory", ADMIN, &["--inject", "latency:10"]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    // Each of these deletions leaves a chunk to background work.
    concurrently(8, |_| {
        for _ in 0..8 {
            let stream = server.stream("text/plain");
            stream.append("x".repeat(50_000));
            stream.delete().send().expect(204);
        }
    });
    watch.expect_fires(|| ());
    watch.expect_clears(fault.name);
}

pub(super) fn slows_appends(fault: &Fault) {
    let server = serve("memory", ADMIN, &["--inject", "latency:1500"]);
    let admin = server.admin();
    let mut watch = Watch::over(admin, fault.alerts);
    let stream = server.stream("text/plain");
    watch.expect_fires(|| {
        stream.append("slow");
    });
    stop(server);
    let server = serve("memory", &admin.to_string(), &[]);
    let stream = on(&server, &stream);
    stream.create();
    stream.append("fast");
    watch.expect_clears(fault.name);
}

pub(super) fn fills_the_queue(fault: &Fault) {
    let server = serve("memory", ADMIN, &[]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    concurrently(8, |_| {
        for _ in 0..125 {
            server.stream("text/plain");
        }
    });
    let list = server.request("GET", "/v1/stream/__ds/streams?limit=1000");
    let waiting: Vec<Connection> = (0..2_000).map(|_| list.start()).collect();
    watch.expect_fires(|| ());
    drop(waiting);
    watch.expect_clears(fault.name);
}
