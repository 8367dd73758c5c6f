//! Where the host starts instances on demand, as Spin does, what one instance holds is answered by
//! what another commits.

use crate::common::{ServerUnderTest, eventually, server::via};
use serde_json::Value;
use std::collections::BTreeSet;

const READERS: usize = 40;

/// The instance of each answer to this operation with this status, as the log tells.
fn instances(log: &[String], operation: &str, status: u16) -> Vec<String> {
    let lines = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["ds.operation"] == operation)
        .filter(|line| line["http.response.status_code"] == status)
        .filter_map(|line| line["ds.instance"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn a_reader_held_by_one_instance_is_answered_by_an_append_of_another() {
    if via() != "wasi-http" {
        println!("elsewhere: --via exchange gives all of a stream to one instance");
        return;
    }
    let server =
        ServerUnderTest::start_own(&[("log_level", "info"), ("long_poll_timeout_secs", "300")]);
    let stream = server.stream("text/plain");
    // One instance takes 16 requests that are not answered yet, so these need several.
    let readers: Vec<_> = (0..READERS).map(|_| stream.wait_at("-1")).collect();
    stream.append("for all");
    for reader in readers {
        reader.finish().expect(200).with_body("for all");
    }
    // Several instances once wrote into each other's lines, and some were lost to whoever parsed them.
    let (mut held, mut wrote) = (Vec::new(), Vec::new());
    eventually("the log tells of all of them", || {
        let log = server.log();
        held = instances(&log, "poll", 200);
        wrote = instances(&log, "append", 204);
        held.len() == READERS && wrote.len() == 1
    });
    let held = BTreeSet::from_iter(held);
    let wrote = BTreeSet::from_iter(wrote);
    println!("readers were held by {held:?}, the append was done by {wrote:?}");
    assert!(held.difference(&wrote).next().is_some());
}

#[test]
fn every_log_line_is_a_json_object_with_the_fields_of_the_error_model() {
    let server = ServerUnderTest::start_own(&[("log_level", "info")]);
    let stream = server.stream("text/plain");
    stream.append("x");
    stream.get("offset=bad").send().expect(400);
    let mut lines = Vec::new();
    eventually("the log tells of the refusal", || {
        let log = server.log();
        let parsed = log.iter().map(|line| serde_json::from_str::<Value>(line));
        lines = parsed.map(|line| line.expect("a line is JSON")).collect();
        lines
            .iter()
            .any(|line| line["http.response.status_code"] == 400)
    });
    let refused = lines
        .iter()
        .find(|line| line["http.response.status_code"] == 400);
    let refused = refused.expect("it was found");
    assert_eq!(refused["error.type"], "INVALID_OFFSET");
    assert_eq!(refused["ds.error_code"], "INVALID_OFFSET");
    for line in lines
        .iter()
        .filter(|line| line.get("ds.operation").is_some())
    {
        for field in ["ds.instance", "url.path", "level"] {
            assert!(line[field].is_string(), "{field} of {line}");
        }
    }
}
