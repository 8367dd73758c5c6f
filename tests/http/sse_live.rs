//! Section 5.8: server-sent events, over time.

use crate::common::sse::{Events, Item};
use crate::common::{Random, ServerUnderTest, Stream, shared};
use std::sync::mpsc::TryRecvError;

/// A reader that is up to date.
fn caught_up(stream: &Stream) -> Events {
    let mut events = stream.sse("now");
    assert!(events.event().control().up_to_date);
    events
}

#[test]
fn a_connected_reader_gets_new_appends() {
    for content_type in ["text/plain", "application/json"] {
        let stream = shared().stream(content_type);
        let mut events = caught_up(&stream);
        for number in 0..50 {
            let tail = stream.append(number.to_string());
            let (data, control) = events.pair();
            let expected = match content_type {
                "text/plain" => number.to_string(),
                _ => format!("[{number}]"),
            };
            assert_eq!(data, expected);
            assert_eq!(control.next_offset, tail);
            assert!(control.up_to_date);
        }
    }
}

#[test]
fn every_reader_gets_every_append_once_and_in_order() {
    let stream = shared().stream("text/plain");
    let mut readers: Vec<Events> = (0..100).map(|_| caught_up(&stream)).collect();
    let numbers: Vec<String> = (0..30).map(|number| format!("{number},")).collect();
    for number in &numbers {
        stream.append(number);
    }
    stream.close();
    for events in &mut readers {
        let mut text = String::new();
        while let Some(event) = events.next() {
            if event.name == "data" {
                text.push_str(&event.data);
            }
        }
        assert_eq!(text, numbers.concat());
    }
}

#[test]
fn readers_of_one_state_see_the_same_cursor_unless_they_sent_one() {
    let stream = shared().stream("text/plain");
    let mut readers: Vec<Events> = (0..10).map(|_| caught_up(&stream)).collect();
    let far = 1 << 50;
    let query = format!("offset=now&live=sse&cursor={far}");
    let mut ahead = Events::of(stream.get(&query).open());
    let mut last = ahead
        .event()
        .control()
        .cursor
        .expect("an open stream has a cursor");
    assert!(last > far);
    for _ in 0..3 {
        stream.append("x");
        let cursors: Vec<_> = readers
            .iter_mut()
            .map(|events| events.pair().1.cursor)
            .collect();
        assert!(
            cursors.windows(2).all(|pair| pair[0] == pair[1]),
            "{cursors:?}"
        );
        let next = ahead.pair().1.cursor.expect("an open stream has a cursor");
        assert!(next >= last, "{next} after {last}");
        last = next;
    }
}

#[test]
fn closing_ends_every_reader_with_the_end_of_the_stream() {
    let stream = shared().stream("text/plain");
    let mut events = caught_up(&stream);
    let tail = stream.close().next_offset();
    let control = events.event().control();
    assert!(control.closed);
    assert_eq!((control.next_offset, control.cursor), (tail, None));
    events.expect_end();
}

#[test]
fn an_append_that_closes_is_delivered_before_the_end() {
    for content_type in ["text/plain", "application/json", "application/octet-stream"] {
        let stream = shared().stream(content_type);
        let mut events = caught_up(&stream);
        let post = stream.post("0").header("Stream-Closed", "true");
        let tail = post.send().expect(204).next_offset();
        let (_, control) = events.pair();
        assert!(control.closed);
        assert_eq!(control.next_offset, tail);
        events.expect_end();
    }
}

#[test]
fn deleting_ends_a_reader_without_another_event() {
    let stream = shared().stream("text/plain");
    let mut events = caught_up(&stream);
    stream.delete().send().expect(204);
    events.expect_end();
}

#[test]
fn a_name_that_is_created_again_is_not_shown_to_readers_of_its_former_life() {
    let stream = shared().stream("text/plain");
    let mut events = caught_up(&stream);
    stream.delete().send().expect(204);
    stream.create();
    stream.append("another life");
    events.expect_end();
}

#[test]
fn a_silent_response_has_a_comment_now_and_then() {
    let Some(server) = ServerUnderTest::start(&[("sse_heartbeat_secs", "1")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    let mut events = caught_up(&stream);
    for _ in 0..2 {
        assert!(matches!(events.item(), Item::Comment(_)));
    }
    stream.append("x");
    assert_eq!(events.pair().0, "x");
}

/// Each read of a stream with a lifetime may write its head. Each such write restarted the wait of
/// all readers: they got no comment, and the server did not notice a reader that had left.
#[test]
fn reads_of_a_stream_with_a_lifetime_put_off_no_comment() {
    let Some(server) = ServerUnderTest::start(&[("sse_heartbeat_secs", "1")]) else {
        return;
    };
    let stream = server.name("text/plain");
    let put = stream.put().header("Content-Type", "text/plain");
    put.header("Stream-TTL", "2").send().expect(201);
    let mut readers = [caught_up(&stream), caught_up(&stream), caught_up(&stream)];
    std::thread::scope(|scope| {
        let (_until_here, stopped) = std::sync::mpsc::channel::<()>();
        let stream = &stream;
        scope.spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                stream.read("-1");
            }
        });
        for events in &mut readers {
            for _ in 0..2 {
                assert!(matches!(events.item(), Item::Comment(_)));
            }
        }
    });
}

#[test]
fn a_response_ends_cleanly_at_its_greatest_age() {
    let Some(server) = ServerUnderTest::start(&[("sse_max_secs", "1")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    let begun = std::time::Instant::now();
    let mut events = caught_up(&stream);
    events.expect_end();
    assert!(begun.elapsed().as_millis() >= 900, "not before");
    // A response that is never silent ends, too.
    let mut events = caught_up(&stream);
    std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let stream = &stream;
        scope.spawn(move || {
            while stopped.try_recv().is_err() {
                stream.append("x");
            }
        });
        while events.next().is_some() {}
        // The writer may have failed; the scope reports that.
        let _ = stop.send(());
    });
}

#[test]
fn following_by_reconnecting_misses_nothing_and_repeats_nothing() {
    let Some(server) = ServerUnderTest::start(&[("sse_max_secs", "1")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let begun = std::time::Instant::now();
            let mut number = 0;
            while begun.elapsed().as_millis() < 2500 {
                stream.append(format!("{number},"));
                number += 1;
            }
            stream.close();
            number
        });
        let mut at = "-1".to_owned();
        let mut text = String::new();
        let mut connections = 0;
        let mut closed = false;
        while !closed {
            connections += 1;
            let mut events = stream.sse(&at);
            while let Some(event) = events.next() {
                if event.name == "data" {
                    text.push_str(&event.data);
                    continue;
                }
                let control = event.control();
                closed = control.closed;
                at = control.next_offset;
            }
        }
        let count = writer.join().expect("the writer is done");
        let expected: String = (0..count).map(|number| format!("{number},")).collect();
        assert!(text == expected, "{count} appends");
        assert!(connections >= 2, "{connections} connections");
    });
}

#[test]
fn a_reader_that_fell_behind_got_whole_events_and_can_go_on() {
    let stream = shared().stream("application/octet-stream");
    let mut events = caught_up(&stream);
    let start = stream.tail();
    let mut random = Random::seeded(8);
    let mut all = Vec::new();
    for _ in 0..40 {
        let body = random.bytes(500_000);
        stream.append(&body);
        all.extend_from_slice(&body);
    }
    stream.close();
    // The reader starts only now. Whether or not the server ended its response, its data ends with
    // a control event.
    let mut read = Vec::new();
    let mut at = start;
    while let Some(event) = events.next() {
        read.extend_from_slice(&super::sse::decoded(event.data()));
        at = events.event().control().next_offset;
    }
    read.extend_from_slice(&stream.read_all(&at));
    assert!(read == all, "{} of {} bytes", read.len(), all.len());
}

#[test]
fn readers_that_leave_do_no_harm() {
    let Some(server) = ServerUnderTest::start(&[("sse_heartbeat_secs", "1")]) else {
        return;
    };
    let stream = server.stream("text/plain");
    let mut stays = caught_up(&stream);
    for _ in 0..100 {
        drop(caught_up(&stream));
    }
    for number in 0..20 {
        stream.append(number.to_string());
        assert_eq!(stays.pair().0, number.to_string());
    }
    server.expect_alive();
}
