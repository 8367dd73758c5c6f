//! Sections 5.6 and 8: catch-up reads and offsets.

use crate::common::{Random, START, ServerUnderTest, Stream, shared};

/// A stream of about 40 kB in appends of 1 kB, on a server with pages of 5 kB.
fn paged(server: &ServerUnderTest) -> (Stream, Vec<u8>) {
    let stream = server.stream("application/octet-stream");
    let mut random = Random::seeded(3);
    let mut all = Vec::new();
    for _ in 0..40 {
        let body = random.bytes(1000);
        stream.append(&body);
        all.extend_from_slice(&body);
    }
    (stream, all)
}

fn small_pages() -> Option<ServerUnderTest> {
    ServerUnderTest::start(&[("page_bytes", "5000"), ("inline_tail_bytes", "2000")])
}

#[test]
fn without_an_offset_a_read_begins_at_the_start() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let page = stream.request("GET").send().expect(200);
    for offset in ["-1", START] {
        let same = stream.read(offset);
        assert_eq!(
            (&same.body, same.next_offset()),
            (&page.body, page.next_offset())
        );
    }
    page.expect_security();
    page.with_body("data")
        .with("content-type", "text/plain")
        .with("content-length", "4")
        .with("stream-up-to-date", "true")
        .with("stream-next-offset", &stream.tail());
}

#[test]
fn an_empty_stream_is_read_as_nothing() {
    let stream = shared().stream("text/plain");
    let page = stream.read("-1").with_body("");
    assert!(page.is_up_to_date());
    assert_eq!(page.next_offset(), START);
}

#[test]
fn a_read_at_the_tail_is_empty_and_up_to_date() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    let page = stream.read(&tail).with_body("");
    assert!(page.is_up_to_date());
    assert_eq!(page.next_offset(), tail);
}

#[test]
fn a_malformed_offset_is_400() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let bad = [
        "",
        "0",
        "-2",
        "--1",
        "-1x",
        "NOW",
        "now%20",
        "%20-1",
        "+-1",
        "0000000000000000",
        "0000000000000000_",
        "_0000000000000000",
        "000000000000000_0000000000000000",
        "00000000000000000_0000000000000000",
        "0000000000000000_000000000000000g",
        "0000000000000000-0000000000000000",
        "0000000000000000_0000000000000000_",
        "0000000000000000_0000000000000000%00",
        "0000000000000000_0000000000000000%0A",
        "0000000000000000_0000000000000000%20",
        "0000000000000000,0000000000000000",
        "-000000000000000_0000000000000000",
        "..%2F..%2Fetc",
        "%D9%A1000000000000000_000000000000000",
        "null",
        "undefined",
        "a%2Cb",
        "99999999999999999999999999999999999999999",
    ];
    for offset in bad {
        for live in ["", "&live=long-poll", "&live=sse"] {
            let answer = stream.get(&format!("offset={offset}{live}")).send();
            answer.problem(400, "INVALID_OFFSET");
        }
    }
    let endless = "0".repeat(4000);
    stream
        .get(&format!("offset={endless}"))
        .send()
        .problem(400, "INVALID_OFFSET");
}

#[test]
fn an_offset_may_be_percent_encoded() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    stream.read("%2D1").with_body("data");
    stream.read("n%6fw").with_body("");
    stream.read(&START.replace('_', "%5F")).with_body("data");
}

#[test]
fn a_repeated_query_key_is_400() {
    let stream = shared().stream("text/plain");
    for query in [
        "offset=-1&offset=-1",
        "offset=-1&offset=now",
        "offset=-1&live=sse&live=sse",
        "offset=-1&live=long-poll&cursor=1&cursor=2",
    ] {
        let answer = stream.get(query).send().expect(400);
        answer.with("content-type", "application/problem+json");
    }
}

#[test]
fn unknown_query_keys_are_ignored() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let page = stream
        .get("foo=1&offset=-1&foo=2&=&&bar")
        .send()
        .expect(200);
    page.with_body("data");
}

#[test]
fn an_unknown_live_mode_is_400_and_a_known_one_needs_an_offset() {
    let stream = shared().stream("text/plain");
    for query in [
        "offset=-1&live=foo",
        "offset=-1&live=",
        "offset=-1&live=SSE",
        "offset=-1&live",
    ] {
        stream.get(query).send().problem(400, "BAD_REQUEST");
    }
    for query in ["live=sse", "live=long-poll", "live=long-poll&cursor=5"] {
        let answer = stream.get(query).send().expect(400);
        answer.with("content-type", "application/problem+json");
    }
}

#[test]
fn an_offset_past_the_tail_is_gone_until_the_stream_grows_past_it() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("1234");
    let ahead = moved(&tail, 2);
    let gone = stream.get(&format!("offset={ahead}")).send();
    let gone = gone.problem(410, "OFFSET_GONE");
    stream.read(&gone.next_offset()).with_body("1234");
    // An offset of a timeline that the store may reach later.
    let later = "offset=0000000100000000_0000000000000010";
    let later = stream.get(later).send().problem(503, "UNAVAILABLE");
    later.with("retry-after", "1");
    stream.append("5678");
    stream.read(&ahead).with_body("78");
}

#[test]
fn an_invented_offset_inside_the_data_begins_at_that_byte() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("0123456789");
    for back in 1..=10 {
        let expected = &"0123456789"[10 - back..];
        stream
            .read(&moved(&tail, -(back as i64)))
            .with_body(expected);
    }
}

/// Moves an offset by this many bytes within its segment. The last digit of an offset means
/// nothing.
fn moved(offset: &str, bytes: i64) -> String {
    let (segment, byte) = offset.split_once('_').expect("two parts");
    let byte = byte.parse::<i64>().expect("a number");
    format!("{segment}_{:016}", byte + bytes * 10)
}

/// The Yjs server of the protocol's authors adds 1 to its offset after it has made a snapshot.
#[test]
fn an_offset_plus_1_loses_nothing() {
    let stream = shared().stream("application/octet-stream");
    let tail = stream.append("before");
    let (segment, byte) = tail.split_once('_').expect("two parts");
    let byte = byte.parse::<u64>().expect("a number") + 1;
    let added = format!("{segment}_{byte:016}");
    stream.read(&added).with_body("");
    let waiting = stream.long_poll(&added);
    stream.append("after");
    stream.read(&added).with_body("after");
    waiting.send().with_body("after");
}

#[test]
fn now_is_the_tail_and_never_has_data() {
    let stream = shared().stream("text/plain");
    let tail = stream.append("data");
    let page = stream.read("now").with_body("");
    page.expect_security();
    assert_eq!(page.next_offset(), tail);
    assert!(page.is_up_to_date() && !page.is_closed());
    page.with("cache-control", "no-store").without("etag");

    let json = shared().stream("application/json");
    json.append("[1,2,3]");
    let page = json.read("now").with_body("[]");
    assert_eq!(page.next_offset(), json.tail());
}

#[test]
fn now_on_a_closed_stream_reports_the_end() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let tail = stream.close().next_offset();
    let page = stream.read("now").with_body("");
    assert!(page.is_up_to_date() && page.is_closed());
    assert_eq!(page.next_offset(), tail);
}

#[test]
fn a_long_stream_is_read_page_by_page() {
    let Some(server) = small_pages() else {
        return;
    };
    let (stream, all) = paged(&server);
    let pages = stream.pages("-1");
    assert!((5..=40).contains(&pages.len()), "{} pages", pages.len());
    let (last, others) = pages.split_last().expect("a page");
    for page in others {
        assert!(!page.body.is_empty() && !page.is_up_to_date(), "{page:?}");
        assert!(page.body.len() <= 20_000, "{} bytes", page.body.len());
    }
    assert!(last.is_up_to_date());
    for page in &pages {
        let length = page.body.len().to_string();
        assert_eq!(page.header("content-length"), Some(length.as_str()));
    }
    assert!(stream.read_all("-1") == all);
}

#[test]
fn only_the_last_page_of_a_closed_stream_reports_the_end() {
    let Some(server) = small_pages() else {
        return;
    };
    let (stream, _) = paged(&server);
    stream.close();
    let pages = stream.pages("-1");
    let (last, others) = pages.split_last().expect("a page");
    assert!(others.iter().all(|page| !page.is_closed()));
    assert!(last.is_closed());
    let end = stream.read(&last.next_offset()).with_body("");
    assert!(end.is_closed() && end.is_up_to_date());
}

#[test]
fn every_page_is_the_same_when_it_is_asked_for_again() {
    let Some(server) = small_pages() else {
        return;
    };
    let (stream, _) = paged(&server);
    let mut at = "-1".to_owned();
    for page in stream.pages("-1") {
        let again = stream.read(&at);
        assert_eq!(again.body, page.body);
        assert_eq!(again.next_offset(), page.next_offset());
        at = page.next_offset();
    }
}

#[test]
fn a_page_has_at_least_one_segment() {
    let Some(server) = ServerUnderTest::start(&[("page_bytes", "1")]) else {
        return;
    };
    let stream = server.stream("application/octet-stream");
    let mut random = Random::seeded(4);
    let mut all = Vec::new();
    for length in [10, 100_000, 1, 300_000, 20] {
        let body = random.bytes(length);
        stream.append(&body);
        all.extend_from_slice(&body);
    }
    assert!(stream.read_all("-1") == all);
}

#[test]
fn the_next_offset_of_a_page_resumes_exactly_there_while_others_append() {
    let Some(server) = small_pages() else {
        return;
    };
    let stream = server.stream("application/octet-stream");
    let all = Random::seeded(5).bytes(120_000);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for body in all.chunks(700) {
                stream.append(body);
            }
            stream.close();
        });
        let mut read = Vec::new();
        let mut at = "-1".to_owned();
        loop {
            let page = stream.read(&at);
            read.extend_from_slice(&page.body);
            at = page.next_offset();
            if page.is_closed() {
                break;
            }
        }
        writer.join().expect("the writer is done");
        assert!(read == all);
    });
}

#[test]
fn a_cursor_on_a_catch_up_read_changes_nothing() {
    let stream = shared().stream("text/plain");
    stream.append("data");
    let page = stream.get("offset=-1&cursor=123").send().expect(200);
    page.with_body("data");
}
