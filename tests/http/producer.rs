//! Section 5.2.1: idempotent producers.

use crate::common::{Response, ServerUnderTest, Stream, shared};

fn post(stream: &Stream, body: &str, epoch: u64, seq: u64) -> Response {
    stream.post(body).producer("p", epoch, seq).send()
}

#[test]
fn a_new_append_is_200_with_epoch_and_seq() {
    let stream = shared().stream("text/plain");
    for seq in 0..3 {
        let answer = post(&stream, "x", 0, seq).expect(200);
        assert_eq!(answer.next_offset(), stream.tail());
        answer
            .with("producer-epoch", "0")
            .with("producer-seq", &seq.to_string())
            .with_body("");
    }
    assert_eq!(stream.read_all("-1"), b"xxx");
}

#[test]
fn a_repeated_append_is_204_with_the_highest_seq_and_appends_nothing() {
    let stream = shared().stream("text/plain");
    for seq in 0..5 {
        post(&stream, "x", 3, seq).expect(200);
    }
    for seq in [4, 0, 2] {
        post(&stream, "another body", 3, seq)
            .expect(204)
            .with("producer-epoch", "3")
            .with("producer-seq", "4")
            .with("stream-next-offset", &stream.tail());
    }
    assert_eq!(stream.read_all("-1"), b"xxxxx");
}

#[test]
fn a_gap_is_409_with_the_expected_sequence() {
    let stream = shared().stream("text/plain");
    post(&stream, "x", 0, 0).expect(200);
    post(&stream, "x", 0, 2)
        .problem(409, "SEQUENCE_CONFLICT")
        .with("producer-expected-seq", "1")
        .with("producer-received-seq", "2");
    assert_eq!(stream.read_all("-1"), b"x");
    post(&stream, "y", 0, 1).expect(200);
}

#[test]
fn an_unknown_producer_must_begin_at_0() {
    let stream = shared().stream("text/plain");
    post(&stream, "x", 4, 1)
        .problem(409, "SEQUENCE_CONFLICT")
        .with("producer-expected-seq", "0")
        .with("producer-received-seq", "1");
    post(&stream, "x", 4, 0).expect(200);
}

#[test]
fn a_stale_epoch_is_403_with_the_current_one() {
    let stream = shared().stream("text/plain");
    post(&stream, "a", 5, 0).expect(200);
    for seq in [0, 1, 9] {
        post(&stream, "zombie", 4, seq)
            .problem(403, "PRODUCER_EPOCH_FENCED")
            .with("producer-epoch", "5");
    }
    assert_eq!(stream.read_all("-1"), b"a");
}

#[test]
fn a_new_epoch_must_begin_at_0() {
    let stream = shared().stream("text/plain");
    post(&stream, "a", 0, 0).expect(200);
    post(&stream, "b", 1, 1).problem(400, "BAD_REQUEST");
    post(&stream, "b", 1, 0)
        .expect(200)
        .with("producer-epoch", "1");
    post(&stream, "c", 1, 1).expect(200);
    post(&stream, "d", 0, 1).problem(403, "PRODUCER_EPOCH_FENCED");
    assert_eq!(stream.read_all("-1"), b"abc");
}

#[test]
fn the_three_fields_come_together_or_not_at_all() {
    let stream = shared().stream("text/plain");
    let fields = [
        ("Producer-Id", "p"),
        ("Producer-Epoch", "0"),
        ("Producer-Seq", "0"),
    ];
    for some in 1..7 {
        let mut request = stream.post("x");
        for (index, (name, value)) in fields.iter().enumerate() {
            if some & (1 << index) != 0 {
                request = request.header(name, value);
            }
        }
        request.send().problem(400, "BAD_REQUEST");
    }
}

#[test]
fn epoch_and_seq_are_plain_decimals_of_at_most_2_to_the_53_minus_1() {
    let stream = shared().stream("text/plain");
    let bad = [
        "",
        "a",
        "1abc",
        "0x1",
        "1e3",
        "-1",
        "+1",
        "01",
        "00",
        "1.0",
        "1 1",
        "\u{661}",
        "9007199254740992",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999",
    ];
    for value in bad {
        for (epoch, seq) in [(value, "0"), ("0", value)] {
            let request = stream.post("x").header("Producer-Id", "p");
            let request = request.header("Producer-Epoch", epoch);
            let answer = request.header("Producer-Seq", seq).send();
            answer.problem(400, "BAD_REQUEST");
        }
    }
    let most = (1 << 53) - 1;
    post(&stream, "x", most, 0)
        .expect(200)
        .with("producer-epoch", &most.to_string());
    post(&stream, "x", most, most).problem(409, "SEQUENCE_CONFLICT");
}

#[test]
fn a_producer_id_has_1_to_256_bytes() {
    let stream = shared().stream("text/plain");
    let post = |id: &str| stream.post("x").producer(id, 0, 0).send();
    post("").problem(400, "BAD_REQUEST");
    post(&"x".repeat(257)).problem(400, "BAD_REQUEST");
    post(&"x".repeat(256)).expect(200);
}

#[test]
fn producers_are_distinguished_by_id_and_stream() {
    let first = shared().stream("text/plain");
    let second = shared().stream("text/plain");
    for stream in [&first, &second] {
        for id in ["a", "b", "A"] {
            stream.post("x").producer(id, 0, 0).send().expect(200);
        }
        assert_eq!(stream.read_all("-1"), b"xxx");
    }
}

#[test]
fn a_repeated_append_is_recognised_before_anything_of_it_is_judged() {
    let stream = shared().stream("application/json");
    let first = stream
        .post("1")
        .producer("p", 0, 0)
        .header("Stream-Seq", "a");
    first.send().expect(200);
    stream
        .post("2")
        .header("Stream-Seq", "b")
        .send()
        .expect(204);
    first.send().expect(204);
    stream
        .post("not json")
        .producer("p", 0, 0)
        .send()
        .expect(204);
    let other = stream.request("POST").header("Content-Type", "text/plain");
    other.body("x").producer("p", 0, 0).send().expect(204);
    assert_eq!(stream.read_all("-1"), b"[1,2]");
}

#[test]
fn a_refused_append_does_not_advance_the_producer() {
    let stream = shared().stream("application/json");
    post(&stream, "{", 0, 0).problem(400, "INVALID_JSON");
    post(&stream, "[]", 0, 0).problem(400, "EMPTY_ARRAY");
    let with_seq = stream.post("0").header("Stream-Seq", "z");
    with_seq.send().expect(204);
    let old_seq = stream
        .post("1")
        .producer("p", 0, 0)
        .header("Stream-Seq", "a");
    old_seq.send().problem(409, "SEQUENCE_CONFLICT");
    post(&stream, "1", 0, 0).expect(200);
    assert_eq!(stream.read_all("-1"), b"[0,1]");
}

#[test]
fn a_producer_closes_and_its_retries_are_204() {
    let stream = shared().stream("text/plain");
    post(&stream, "a", 0, 0).expect(200);
    let closing = |body: &str, epoch, seq| {
        let request = stream.post(body).producer("p", epoch, seq);
        request.header("Stream-Closed", "true").send()
    };
    let closed = closing("b", 0, 1).expect(200).with("stream-closed", "true");
    for body in ["b", "another body"] {
        closing(body, 0, 1)
            .expect(204)
            .with("stream-closed", "true")
            .with("stream-next-offset", &closed.next_offset());
    }
    // The same append without the field is also a duplicate of the append that closed the stream.
    post(&stream, "b", 0, 1)
        .expect(204)
        .with("stream-closed", "true");
    assert_eq!(stream.read_all("-1"), b"ab");
}

#[test]
fn nothing_but_the_closing_append_is_a_repetition_once_the_stream_is_closed() {
    let stream = shared().stream("text/plain");
    post(&stream, "a", 0, 0).expect(200);
    let request = stream
        .post("b")
        .producer("p", 0, 1)
        .header("Stream-Closed", "true");
    request.send().expect(200);
    for (id, epoch, seq) in [
        ("p", 0, 0),
        ("p", 0, 2),
        ("p", 1, 0),
        ("q", 0, 0),
        ("q", 0, 1),
    ] {
        let answer = stream.post("c").producer(id, epoch, seq).send();
        answer
            .problem(409, "STREAM_CLOSED")
            .with("stream-closed", "true")
            .with("stream-next-offset", &stream.tail());
    }
    assert_eq!(stream.read_all("-1"), b"ab");
}

#[test]
fn a_producer_closes_without_a_body_and_may_repeat_it() {
    let stream = shared().stream("text/plain");
    post(&stream, "a", 0, 0).expect(200);
    let close = stream.request("POST").producer("p", 0, 1);
    let close = close.header("Stream-Closed", "true").body("");
    for _ in 0..2 {
        close.send().expect_success().with("stream-closed", "true");
    }
    post(&stream, "b", 0, 2).problem(409, "STREAM_CLOSED");
    assert_eq!(stream.read_all("-1"), b"a");
}

#[test]
fn a_stream_remembers_max_producers_and_then_refuses_new_ones() {
    let Some(server) = ServerUnderTest::start(&[("max_producers", "2")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    for id in ["a", "b"] {
        stream.post("x").producer(id, 0, 0).send().expect(200);
    }
    let third = stream.post("x").producer("c", 0, 0);
    third.send().problem(429, "TOO_MANY_PRODUCERS");
    stream.post("x").producer("a", 0, 1).send().expect(200);
    stream.post("x").producer("b", 0, 0).send().expect(204);
    stream.append("x");
}

#[test]
fn retries_that_race_append_once() {
    let stream = shared().stream("text/plain");
    for seq in 0..30 {
        let answers: Vec<Response> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| post(&stream, &format!("{seq:02}"), 0, seq)))
                .collect();
            let joined = racers.into_iter().map(|racer| racer.join());
            joined
                .map(|answer| answer.expect("no racer panics"))
                .collect()
        });
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 204, 204, 204], "{answers:?}");
    }
    let expected: String = (0..30).map(|seq| format!("{seq:02}")).collect();
    assert_eq!(stream.read_all("-1"), expected.as_bytes());
}
