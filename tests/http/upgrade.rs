//! A store that an older version wrote: `tests/fixtures/store2`, by the commit with the second
//! format of the log, before manifests and timelines.

use crate::common::server::{store, via};
use crate::common::{ServerUnderTest, Stream};
use serde_json::{Value, json};
use std::path::Path;

/// A copy of the old store.
fn old_store() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/store2");
    for file in std::fs::read_dir(fixture).expect("the fixture") {
        let file = file.expect("a file");
        let copy = directory.path().join(file.file_name());
        std::fs::copy(file.path(), copy).expect("it is copied");
    }
    directory
}

fn big() -> Vec<u8> {
    let numbers = (0..3000).map(|number| format!("{number:05} "));
    numbers.collect::<String>().into_bytes()
}

/// Checks the contents of every stream, and its tail.
fn expect_all(stream: impl Fn(&str, &str) -> Stream) {
    for (name, all, tail) in [
        (
            "text",
            &b"hello world!"[..],
            "0000000000000000_0000000000000120",
        ),
        ("closed", b"end", "0000000000000000_0000000000000030"),
        (
            "fork",
            b"hello world and a fork",
            "0000000000000000_0000000000000220",
        ),
        ("big", &big(), "0000000000000000_0000000000180000"),
    ] {
        let stream = stream(name, "text/plain");
        assert!(stream.read_all("-1") == all, "{name}");
        let head = stream.head().send();
        assert_eq!(head.next_offset(), tail, "{name}");
        assert_eq!(head.header("stream-closed").is_some(), name == "closed");
    }
    let stream_json = stream("json", "application/json");
    let messages: Value = serde_json::from_slice(&stream_json.read_all("-1")).expect("JSON");
    assert_eq!(messages, json!([{"a": 1}, {"b": 2}, {"c": 3}]));
    assert_eq!(stream("gone", "text/plain").head().send().status, 404);
}

#[test]
fn a_store_of_an_older_version_is_upgraded_and_reads_back_the_same() {
    if store() != "file" || via() != "exchange" {
        return;
    }
    let directory = old_store();
    let store = format!("file:{}", directory.path().display());
    for round in 0..2 {
        let server = ServerUnderTest::start_over(&store, &[]);
        let stream = |name: &str, content_type: &str| Stream {
            path: format!("/v1/stream/{name}"),
            ..server.name(content_type)
        };
        expect_all(stream);
        // The store keeps producer state beside the bytes.
        let again = stream("json", "application/json").post("[{\"b\":2},{\"c\":3}]");
        let again = again
            .header("Producer-Id", "p")
            .header("Producer-Epoch", "1");
        again.header("Producer-Seq", "0").send().expect(204);
        let late = stream("closed", "text/plain").post("x").send();
        late.problem(409, "STREAM_CLOSED");
        let one = server
            .request("GET", "/v1/stream/__ds/subscriptions/one")
            .send();
        let one: Value = serde_json::from_slice(&one.expect(200).body).expect("JSON");
        assert_eq!(one["pattern"], "text");
        let pending = &one["streams"][0];
        assert_eq!(pending["path"], "text", "{one}");
        // The upgraded store accepts new streams.
        let name = format!("new{round}");
        let new = stream(&name, "text/plain");
        new.put()
            .header("Content-Type", "text/plain")
            .send()
            .expect(201);
        new.append("new");
        for earlier in 0..=round {
            let new = stream(&format!("new{earlier}"), "text/plain");
            assert_eq!(new.read_all("-1"), b"new");
        }
    }
}
