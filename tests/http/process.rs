//! The host as a program: its start, its messages when it can't start, and its end.

use crate::common::{HOST, ServerUnderTest, server};
use std::process::Command;

/// Runs the host with these arguments, which it must refuse. Returns its exit code and errors.
/// The host runs in a directory of its own, since it keeps its streams below it by default.
fn refused(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut command: Command = HOST.command();
    command.args(args).envs(environment.iter().copied());
    command.current_dir(directory.path());
    let out = command.output().expect("the host can be started");
    assert!(!out.status.success(), "{args:?}: {out:?}");
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

fn serving(more: &[&str]) -> Vec<String> {
    let component = HOST.component("exchange");
    let component = component.to_string_lossy();
    let mut args = vec![
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--component",
        &component,
    ];
    args.extend(more);
    args.into_iter().map(str::to_owned).collect()
}

#[track_caller]
pub(crate) fn refused_with_one_line(more: &[&str], environment: &[(&str, &str)], named: &[&str]) {
    let args = serving(more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (_, errors) = refused(&args, environment);
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    for name in named {
        assert!(errors.contains(name), "{name} is not named: {errors}");
    }
}

#[test]
fn a_bad_flag_is_refused() {
    let (code, errors) = refused(&["serve", "--no-such-flag"], &[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("--no-such-flag"), "{errors}");
    refused(&["serve", "--via", "magic"], &[]);
    refused(&["serve", "--listen", "nowhere"], &[]);
    for [flag, value, expected] in [
        ["--store", "tape", "spin-redis"],
        ["--inject", "fog", "faults:SEED"],
        ["--inject", "latency:soon", "latency:MS"],
    ] {
        let (code, errors) = refused(&["serve", flag, value], &[]);
        assert_eq!(code, Some(2));
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        for named in [flag, value, expected] {
            assert!(errors.contains(named), "{named} is not named: {errors}");
        }
    }
    refused(&["frobnicate"], &[]);
}

#[test]
fn an_unknown_or_malformed_variable_is_refused_by_name() {
    refused_with_one_line(&["--variable", "no_such=1"], &[], &["no_such"]);
    refused_with_one_line(&["--variable", "page_bytes"], &[], &["page_bytes"]);
    for value in [
        "",
        "0",
        "-1",
        "+5",
        "1.5",
        "1e3",
        "16777217",
        "99999999999999999999999",
    ] {
        let variable = format!("page_bytes={value}");
        refused_with_one_line(&["--variable", &variable], &[], &["page_bytes"]);
    }
    refused_with_one_line(&["--variable", "registry=maybe"], &[], &["registry"]);
    refused_with_one_line(&["--variable", "base_path=stream"], &[], &["base_path"]);
    refused_with_one_line(&[], &[("DS_PAGE_BYTES", "many")], &["page_bytes"]);
    let close = ["DS_PAGE_BYTE\"", "DS_PAGE_BYTES"];
    refused_with_one_line(&[], &[("DS_PAGE_BYTE", "1")], &close);
}

#[test]
fn a_missing_component_is_refused() {
    let (_, errors) = refused(
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store",
            "memory",
            "--component",
            "/nowhere/x.wasm",
        ],
        &[],
    );
    assert!(errors.contains("/nowhere/x.wasm"), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let (_, errors) = refused(
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--store",
            "memory",
            "--component",
            file,
        ],
        &[],
    );
    assert!(errors.contains(file), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
}

#[test]
fn the_build_for_another_way_is_refused_by_its_exports() {
    let cases = [
        ("exchange", "wasi-http-p2", "wasi:http/incoming-handler@0.2"),
        ("wasi-http-p2", "exchange", "durable-streams:edge/exchange"),
        ("wasi-http-p2", "wasi-http", "wasi:http/handler@0.3"),
    ];
    for (build, via, wanted) in cases {
        let component = HOST.component(build);
        let component = component.to_string_lossy();
        let (code, errors) = refused(
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--store",
                "memory",
                "--component",
                &component,
                "--via",
                via,
            ],
            &[],
        );
        assert_eq!(code, Some(1));
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        for named in [wanted, "durable_streams_edge_p3.wasm", &component] {
            assert!(errors.contains(named), "{named} is not named: {errors}");
        }
    }
}

#[test]
fn a_port_in_use_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let component = HOST.component("exchange");
    let component = component.to_string_lossy();
    let (_, errors) = refused(
        &[
            "serve",
            "--listen",
            &address,
            "--store",
            "memory",
            "--component",
            &component,
        ],
        &[],
    );
    assert!(errors.contains(&address), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
}

#[test]
fn a_variable_of_the_environment_is_used_unless_a_flag_says_otherwise() {
    let server = ServerUnderTest::start_with_environment(
        &[("max_append_bytes", "5")],
        &[
            ("DS_MAX_APPEND_BYTES", "3"),
            ("DS_CACHE_VISIBILITY", "private"),
        ],
    );
    let stream = server.stream("text/plain");
    stream.append("12345");
    stream
        .post("123456")
        .send()
        .problem(413, "PAYLOAD_TOO_LARGE");
    let page = stream.read("-1");
    let cache = page.header("cache-control").unwrap_or_default();
    assert!(cache.contains("private"), "{cache}");
}

#[test]
fn a_server_that_gets_a_signal_ends_its_readers_cleanly_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = ServerUnderTest::start_own(&[("long_poll_timeout_secs", "300")]);
        let stream = server.stream("text/plain");
        stream.append("data");
        let mut events = stream.sse("-1");
        events.pair();
        let waiting = stream.wait_at("now");
        server.signal(signal);
        events.expect_end();
        let answer = waiting.finish();
        if server::via() == "exchange" {
            assert_eq!(answer.status, 204, "{answer:?}");
            assert!(answer.is_up_to_date());
        } else {
            // The instance gets no notice of the shutdown, so it can't answer.
            answer.problem(503, "UNAVAILABLE");
        }
        assert_eq!(server.wait().code(), Some(0));
        let log = server.log().join("\n");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[test]
fn requests_under_way_are_finished_before_the_server_ends() {
    let mut server = ServerUnderTest::start_own(&[]);
    let stream = server.stream("text/plain");
    let mut connection = crate::common::Connection::to(stream.address);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nfirst",
        stream.path
    );
    connection.write(head.as_bytes()).expect("it is sent");
    // An answer on another connection shows that the server had time to read from the first.
    stream.tail();
    server.signal("TERM");
    connection.write(b"-half").expect("it is sent");
    let answer = connection.finish();
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(server.wait().code(), Some(0));
}

/// A huge page keeps 2 MiB for a few used bytes, so the server's memory grew in large steps.
#[test]
#[cfg(target_os = "linux")]
fn the_server_uses_no_huge_pages() {
    let server = ServerUnderTest::start_own(&[]);
    let id = server.id().expect("it is the test's own");
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    let status = status.expect("the server's process");
    let enabled = status
        .lines()
        .find_map(|line| line.strip_prefix("THP_enabled:"));
    // Kernels before 5.0 do not have this line.
    assert!(enabled.is_none_or(|enabled| enabled.trim() == "0"));
}

#[test]
fn an_unknown_variable_of_the_environment_is_a_warning_and_those_of_clients_are_ignored() {
    let environment = [
        ("DS_COLOUR", "blue"),
        ("DS_URL", "x"),
        ("DS_TOKEN", "secret"),
    ];
    let server = ServerUnderTest::start_with_environment(&[], &environment);
    server.request("GET", "/health").send().expect(200);
    let log = server.log().join("\n");
    assert!(log.contains("DS_COLOUR"), "{log}");
    assert!(
        !log.contains("DS_URL") && !log.contains("DS_TOKEN"),
        "{log}"
    );
}
