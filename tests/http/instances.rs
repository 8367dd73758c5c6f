//! Several instances in one host. Where the host starts instances on demand, as Spin does, a commit of
//! one instance answers readers that another instance holds.

use crate::common::{ServerUnderTest, Stream, concurrently, eventually, server::via};
use serde_json::Value;
use std::collections::BTreeSet;

const READERS: usize = 40;

/// Reads from the log the instance of each response to this operation with this status.
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
    // One instance accepts 16 unanswered requests, so these readers need several instances.
    let readers: Vec<_> = (0..READERS).map(|_| stream.wait_at("-1")).collect();
    stream.append("for all");
    for reader in readers {
        reader.finish().expect(200).with_body("for all");
    }
    // Instances once wrote into each other's lines, so a parser of the log lost some of the lines.
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

/// Reads from the log the instances that served appends to this stream.
fn served(log: &[String], path: &str) -> Vec<String> {
    let lines = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["ds.operation"] == "append" && line["url.path"] == path)
        .filter_map(|line| line["ds.instance"].as_str().map(str::to_owned))
        .collect()
}

/// One client with large bodies once slowed down every append from milliseconds to a second.
#[test]
fn no_instance_serves_both_large_bodies_and_short_appends() {
    const CLIENTS: usize = 8;
    if via() != "exchange" {
        println!("elsewhere: other ways start instances on demand");
        return;
    }
    let server = ServerUnderTest::start_own(&[("log_level", "info")]);
    let streams: Vec<_> = (0..2 * CLIENTS)
        .map(|_| server.stream("application/json"))
        .collect();
    let large = format!("[{}0]", "0,".repeat(200_000));
    concurrently(2 * CLIENTS, |client| match client < CLIENTS {
        // With a length and without one.
        true => {
            streams[client].append(&large);
            let post = streams[client].request("POST");
            let post = post.header("Content-Type", "application/json");
            post.chunks(large.as_bytes().chunks(50_000))
                .send()
                .expect(204);
        }
        false => (0..20).for_each(|_| drop(streams[client].append("[0]"))),
    });
    let (mut large, mut short) = (Vec::new(), Vec::new());
    eventually("the log tells of all of them", || {
        let log = server.log();
        let of = |streams: &[Stream]| -> Vec<String> {
            let paths = streams.iter().map(|stream| stream.path.as_str());
            paths.flat_map(|path| served(&log, path)).collect()
        };
        (large, short) = (of(&streams[..CLIENTS]), of(&streams[CLIENTS..]));
        large.len() == 2 * CLIENTS && short.len() == 20 * CLIENTS
    });
    let (large, short) = (BTreeSet::from_iter(large), BTreeSet::from_iter(short));
    assert!(large.is_disjoint(&short), "{large:?} and {short:?}");
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
