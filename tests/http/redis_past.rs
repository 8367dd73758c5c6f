//! Answers after Redis came back in an older state.

use crate::common::server::new_redis;
use crate::common::sse::Events;
use crate::common::{ServerUnderTest, eventually};
use crate::redis::is_run_elsewhere;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use test_support::RedisServer;

fn save(redis: &RedisServer) {
    let url = redis.url();
    let address = url
        .strip_prefix("redis://")
        .and_then(|rest| rest.split('/').next());
    let mut connection = TcpStream::connect(address.expect("an address")).expect("it connects");
    connection.write_all(b"SAVE\r\n").expect("it is sent");
    let mut answer = [0; 3];
    connection.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"+OK");
}

/// The reader missed two messages silently, and got `4}]`, the rest of the third.
#[test]
fn a_live_reader_ahead_of_a_redis_that_went_back_ends_with_an_error() {
    if is_run_elsewhere() {
        return;
    }
    let mut redis = new_redis(&["--appendonly", "no"]);
    let hosts = [(); 2].map(|()| ServerUnderTest::start_over(&redis.url(), &[]));
    let stream = hosts[0].stream("application/json");
    stream.append("{\"n\":11}");
    save(&redis);
    stream.append("{\"lost\":12}");
    let ahead = stream.append("{\"lost\":13}");
    let mut events = Events::of(stream.get(&format!("offset={ahead}&live=sse")).open());
    assert_eq!(events.event().control().next_offset, ahead);
    let poll = stream.wait_at(&ahead);
    redis.kill().expect("it is killed");
    redis.start_again().expect("it starts again");
    assert_eq!(events.next(), None, "it ends without an event");
    poll.finish().problem(410, "OFFSET_GONE");
    for message in [
        "{\"n\":12}",
        "{\"n\":13,\"is\":\"longer than what was lost\"}",
    ] {
        for host in &hosts {
            let stream = crate::common::Stream {
                address: host.address,
                ..stream.clone()
            };
            eventually("the host is back", || stream.head().send().status == 200);
            let gone = stream.get(&format!("offset={ahead}")).send();
            let gone = gone.problem(410, "OFFSET_GONE");
            let all = stream.read_all(&gone.next_offset());
            let all: Value = serde_json::from_slice(&all).expect("whole messages");
            assert_eq!(all[0], json!({"n": 11}));
        }
        eventually("it takes appends", || {
            let answer = stream.post(message).send();
            assert!(matches!(answer.status, 204 | 503), "{answer:?}");
            answer.status == 204
        });
    }
    let all: Value = serde_json::from_slice(&stream.read_all("-1")).expect("whole messages");
    let longer = json!({"n": 13, "is": "longer than what was lost"});
    assert_eq!(all, json!([{"n": 11}, {"n": 12}, longer]));
}
