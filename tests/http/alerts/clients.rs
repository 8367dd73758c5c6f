//! Clients that take too much, and receivers of webhooks that fail.

use super::{ADMIN, Fault, Watch, serve};
use crate::common::receiver::Receiver;
use crate::common::{Connection, HOST, ServerUnderTest};
use serde_json::json;
use std::process::Command;

pub(super) fn take_nothing(fault: &Fault) {
    let server = serve("memory", ADMIN, &["--trust-forwarded-for"]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("application/octet-stream");
    for _ in 0..16 {
        stream.append(vec![b'x'; 900_000]);
    }
    let mut idle: Vec<Connection> = Vec::new();
    watch.expect_fires(|| {
        for client in 0..20 {
            let get = stream.get("offset=-1");
            let get = get.header("x-forwarded-for", format!("10.0.0.{client}"));
            idle.push(get.start());
        }
    });
    drop(idle);
    watch.expect_clears(fault.name);
}

/// A server that may have 400 files open, and takes 140 connections.
fn serve_few() -> ServerUnderTest {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -n 400; exec "$@""#, "sh"]);
    shell.arg(HOST.command().get_program());
    shell.args(["serve", "--listen", "127.0.0.1:0", "--admin", ADMIN]);
    shell.args(["--store", "memory", "--connections-per-address", "1000"]);
    shell.arg("--component").arg(HOST.component("exchange"));
    ServerUnderTest::start_command(shell)
}

pub(super) fn take_all_places(fault: &Fault) {
    let server = serve_few();
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("text/plain");
    let mut readers: Vec<Connection> = Vec::new();
    watch.expect_fires(|| {
        while readers.len() < 136 {
            readers.push(stream.get("offset=now&live=sse").open());
        }
    });
    drop(readers);
    watch.expect_clears(fault.name);
}

pub(super) fn refuse_webhooks(fault: &Fault) {
    let server = serve(
        "memory",
        ADMIN,
        &["--variable", "webhook_allow_localhost=true"],
    );
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let receiver = Receiver::start(r#"{"done":true}"#);
    receiver.answer("500 Internal Server Error", "");
    let subscribe = |id: usize| {
        let path = format!("/v1/stream/__ds/subscriptions/{id}");
        let body = json!({
            "type": "webhook", "pattern": format!("{id}/*"), "webhook": {"url": receiver.url()},
        });
        let put = server.request("PUT", &path);
        let put = put.header("content-type", "application/json");
        put.body(body.to_string()).send().expect(201);
    };
    let wake = |id: usize| {
        let path = format!("/v1/stream/{id}/a");
        let put = server.request("PUT", &path);
        let put = put.header("content-type", "text/plain").body("wake");
        put.send().expect(201);
    };
    let mut id = 0;
    watch.expect_fires(|| {
        subscribe(id);
        wake(id);
        id += 1;
    });
    receiver.answer("200 OK", r#"{"done":true}"#);
    watch.expect_clears(fault.name);
}
