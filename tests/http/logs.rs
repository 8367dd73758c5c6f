//! The log: its format, its filter, and a reader of standard error that does not read.

use crate::common::{ServerUnderTest, eventually};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// The line that a server without access control writes at its start.
const OPEN: &str = "access control is off";

/// Whether this is the host's line about access control. The component has one of its own.
fn is_open(line: &str) -> bool {
    line.contains(OPEN) && !line.contains("ds.instance")
}

/// Runs a server with its output on a terminal, and returns the line about access control.
fn on_a_terminal(more: &[&str]) -> Option<String> {
    let mut host = ServerUnderTest::command(&[]);
    host.args(more);
    let words = std::iter::once(host.get_program()).chain(host.get_args());
    let words: Vec<_> = words
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut script = Command::new("script");
    script.args(["-qefc", &words.join(" "), "/dev/null"]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match script.spawn() {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: there is no program script: {error}");
            return None;
        }
    };
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let found = out.lines().map_while(Result::ok).find(|line| is_open(line));
    // The server gets a hangup from its terminal.
    let _ = child.kill();
    let _ = child.wait();
    Some(found.expect("the line is logged"))
}

#[test]
fn lines_are_text_on_a_terminal_and_json_elsewhere_unless_a_flag_says_otherwise() {
    if let Some(line) = on_a_terminal(&[]) {
        assert!(line.contains(" WARN ") && line.contains('Z'), "{line}");
        assert!(!line.contains('{'), "{line}");
    }
    if let Some(line) = on_a_terminal(&["--log-format", "json"]) {
        let line: Value = serde_json::from_str(line.trim()).expect("JSON");
        assert_eq!(line["level"], "warn");
    }
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &["--log-format", "text"]) else {
        return;
    };
    eventually("the line is logged", || {
        let log = server.log();
        log.iter()
            .any(|line| is_open(line) && line.contains(" WARN "))
    });
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &[]) else {
        return;
    };
    let mut found = Value::Null;
    eventually("the line is logged", || {
        let log = server.log();
        let line = log.iter().find(|line| is_open(line));
        line.inspect(|line| found = serde_json::from_str(line).expect("JSON"))
            .is_some()
    });
    assert_eq!(found["ds.component"], "host");
    assert!(
        found["time_ms"].is_u64() && found["ds.event"].is_string(),
        "{found}"
    );
}

/// Lines about access control of a server that ended.
fn of_ended(variables: &[(&str, &str)], flags: &[&str], environment: &[(&str, &str)]) -> usize {
    let mut command = ServerUnderTest::command(variables);
    command.args(flags).envs(environment.iter().copied());
    let mut server = ServerUnderTest::start_command(command);
    server.signal("TERM");
    assert!(server.wait().success());
    // All queued lines are written at the end.
    eventually("the log is read", || server.is_log_read());
    server.log().iter().filter(|line| is_open(line)).count()
}

#[test]
fn the_filter_is_a_flag_or_rust_log_or_log_level_in_this_order() {
    for (variables, flags, environment, expected) in [
        (&[][..], &[][..], &[][..], 1),
        (&[("log_level", "error")], &[], &[], 0),
        (&[], &["--log-filter", "off"], &[], 0),
        (&[], &["--log-filter", "durable_streams=error"], &[], 0),
        (
            &[("log_level", "error")],
            &["--log-filter", "durable_streams::host=warn"],
            &[],
            1,
        ),
        (&[], &[], &[("RUST_LOG", "error")], 0),
        (&[], &["--log-filter", "warn"], &[("RUST_LOG", "off")], 1),
        (&[], &[], &[("RUST_LOG", "loud")], 1),
    ] {
        let found = of_ended(variables, flags, environment);
        assert_eq!(found, expected, "{variables:?} {flags:?} {environment:?}");
    }
}

/// Standard error was a pipe to a program that hung. The first writer of a line then waited for it
/// forever, and with it all requests.
#[test]
fn a_server_answers_while_its_standard_error_is_not_read() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let variables = [("log_level", "info")];
    let Some(mut server) = ServerUnderTest::start_with_stderr(writer.into(), &variables) else {
        return;
    };
    let name = "n".repeat(1000);
    let target = format!("/v1/stream/{name}");
    let dropped = || {
        let metrics = server
            .admin_request("GET", "/metrics")
            .send()
            .expect(200)
            .text();
        let mut lines = metrics.lines();
        lines.find_map(|line| {
            let count = line.strip_prefix("durable_streams_log_lines_dropped_total ")?;
            count.parse::<u64>().ok()
        })
    };
    eventually("lines are dropped", || {
        for _ in 0..200 {
            server.request("GET", &target).send().expect(404);
        }
        dropped().is_some_and(|dropped| dropped > 0)
    });
    // The reader comes back, and learns how much it missed.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    eventually("new lines have room again", || {
        let before = dropped();
        server.request("GET", &target).send().expect(404);
        before == dropped()
    });
    server.signal("TERM");
    assert!(server.wait().success());
    let text = reading.join().expect("no panic").expect("text");
    assert!(text.contains("log lines dropped"), "no report");
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn a_server_whose_standard_error_is_never_read_still_ends() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let variables = [("log_level", "info")];
    let Some(mut server) = ServerUnderTest::start_with_stderr(writer.into(), &variables) else {
        return;
    };
    let target = format!("/v1/stream/{}", "n".repeat(1000));
    // More than the pipe takes.
    for _ in 0..100 {
        server.request("GET", &target).send().expect(404);
    }
    server.signal("TERM");
    assert!(server.wait().success());
    drop(reader);
}
