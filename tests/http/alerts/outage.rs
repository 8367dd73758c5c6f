//! A Redis or a server that is away, and a store that went back.

use super::{ADMIN, Fault, Watch, directory, in_files, serve, skip, stop};
use crate::common::server::new_redis;
use crate::common::{HOST, eventually};
use test_support::redis_program;

pub(super) fn takes_redis(fault: &Fault) {
    if let Err(why) = redis_program() {
        return skip(fault, &why);
    }
    let mut redis = new_redis(&["--appendonly", "yes", "--appendfsync", "always"]);
    let server = serve(&redis.url(), ADMIN, &[]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("text/plain");
    redis.kill().expect("it is killed");
    watch.expect_fires(|| {
        stream.post("away").send();
    });
    redis.start_again().expect("it starts again");
    eventually("appends are accepted", || {
        stream.post("back").send().status == 204
    });
    watch.expect_clears(fault.name);
}

pub(super) fn takes_the_server(fault: &Fault) {
    let server = serve("memory", ADMIN, &[]);
    let admin = server.admin();
    let mut watch = Watch::over(admin, fault.alerts);
    stop(server);
    watch.expect_fires(|| ());
    let _server = serve("memory", &admin.to_string(), &[]);
    watch.expect_clears(fault.name);
}

pub(super) fn raises_the_timeline(fault: &Fault) {
    let data = directory();
    let store = in_files(data.path());
    let server = serve(&store, ADMIN, &[]);
    let admin = server.admin();
    let mut watch = Watch::over(admin, fault.alerts);
    server.stream("text/plain").append("before");
    stop(server);
    let mut check = HOST.command();
    check.arg("check").arg(data.path()).arg("--new-timeline");
    assert!(check.output().expect("it runs").status.success());
    let _server = serve(&store, &admin.to_string(), &[]);
    watch.expect_fires(|| ());
    watch.expect_clears(fault.name);
}
