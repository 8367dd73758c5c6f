//! Catch-up reads: pages, offsets, tags, index blocks.

use super::driver::{Response, Server, ask, call, read_all, serve};
use super::world::{Quirk, World};
use proptest::prelude::*;
use std::sync::Arc;

fn world(variables: &[(&str, &str)]) -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    for (name, value) in variables {
        world.variable(name, value);
    }
    let server = serve(&world);
    (world, server)
}

fn create(server: &Server, kind: &str) {
    let created = call(server, ask("PUT", "s").content_type(kind));
    assert_eq!(created.status, 201);
    assert_eq!(created.get("location"), "http://a.example/v1/stream/s");
}

/// Appends, and returns the offset after it.
fn append(server: &Server, kind: &str, body: impl AsRef<[u8]>) -> String {
    let response = call(server, ask("POST", "s").content_type(kind).body(body));
    assert_eq!(response.status, 204, "{response:?}");
    response.offset().to_owned()
}

fn read(server: &Server, offset: &str) -> Response {
    call(server, ask("GET", &format!("s?offset={offset}")))
}

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";
const ZERO: &str = "0000000000000000_0000000000000000";

#[test]
fn an_empty_stream_is_an_empty_page_at_all_zeros() {
    for (kind, empty) in [(TEXT, ""), (JSON, "[]")] {
        let (_, server) = world(&[]);
        create(&server, kind);
        for offset in ["-1", "now", ZERO] {
            let page = read(&server, offset);
            assert_eq!((page.status, page.text()), (200, empty));
            assert_eq!(page.offset(), ZERO);
            assert_eq!(page.get("stream-up-to-date"), "true");
            assert_eq!(page.get("cache-control"), "no-store");
            assert_eq!(page.get("etag").is_empty(), offset == "now");
        }
    }
}

#[test]
fn every_offset_given_out_continues_exactly_there() {
    for inline in ["0", "7", "16384"] {
        let (_, server) = world(&[("inline_tail_bytes", inline), ("page_bytes", "20")]);
        create(&server, TEXT);
        let mut offsets = vec!["-1".to_owned()];
        let mut whole = String::new();
        for n in 0..250 {
            let body = format!("<{n}>");
            offsets.push(append(&server, TEXT, &body));
            whole.push_str(&body);
        }
        assert!(offsets.is_sorted_by(|a, b| a < b));
        let mut skipped = 0;
        for (n, offset) in offsets.iter().enumerate() {
            let page = read(&server, offset);
            assert!(whole[skipped..].starts_with(page.text()), "{offset}");
            assert_eq!(page.body.is_empty(), n == 250);
            skipped += format!("<{n}>").len();
        }
        assert_eq!(read_all(&server, "s"), whole.as_bytes());
    }
}

#[test]
fn a_page_ends_with_the_segment_that_fits_but_has_at_least_one() {
    let (_, server) = world(&[("inline_tail_bytes", "0"), ("page_bytes", "10")]);
    create(&server, TEXT);
    for body in ["aaaa", "bbbb", "cccc", "dddddddddddddddd", "e"] {
        append(&server, TEXT, body);
    }
    let mut offset = "-1".to_owned();
    let mut pages = Vec::new();
    for _ in 0..4 {
        let page = read(&server, &offset);
        offset = page.offset().to_owned();
        pages.push((
            page.text().to_owned(),
            page.get("stream-up-to-date") == "true",
        ));
    }
    let expected = [
        ("aaaabbbb", false),
        ("cccc", false),
        ("dddddddddddddddd", false),
        ("e", true),
    ];
    assert_eq!(pages, expected.map(|(text, end)| (text.to_owned(), end)));
}

/// With segments of one byte, a page of 1 MiB took a million chunk reads.
#[test]
fn a_page_of_the_smallest_segments_ends_after_a_bounded_number_of_them() {
    let (_, server) = world(&[("inline_tail_bytes", "0")]);
    create(&server, TEXT);
    let most = crate::limits::PAGE_SEGMENTS;
    for _ in 0..most + 10 {
        append(&server, TEXT, "x");
    }
    let page = read(&server, "-1");
    assert_eq!(page.text().len(), most);
    assert_eq!(page.get("stream-up-to-date"), "");
    assert_eq!(read(&server, page.offset()).text().len(), 10);
}

#[test]
fn a_json_message_larger_than_a_chunk_is_one_page_and_never_cut() {
    let (_, server) = world(&[("page_bytes", "1000")]);
    create(&server, JSON);
    let large = format!("\"{}\"", "x".repeat(700_000));
    append(&server, JSON, "[1,2]");
    append(&server, JSON, &large);
    append(&server, JSON, "[3, {\"a\": [ ]}]");
    let mut offset = "-1".to_owned();
    let mut pages = Vec::new();
    while pages.len() < 9 {
        let page = read(&server, &offset);
        let values: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        pages.push(values.as_array().unwrap().len());
        offset = page.offset().to_owned();
        if page.get("stream-up-to-date") == "true" {
            break;
        }
    }
    assert_eq!(pages, [2, 1, 2]);
}

#[test]
fn an_offset_beyond_the_tail_is_gone_or_newer_than_its_store() {
    let (_, server) = world(&[("inline_tail_bytes", "8")]);
    create(&server, TEXT);
    append(&server, TEXT, "abc");
    for (ahead, status, code) in [
        ("0000000000000000_0000000000000040", 410, "OFFSET_GONE"),
        ("0000000000000001_0000000000000000", 410, "OFFSET_GONE"),
        ("0000000000000007_0000000000000090", 410, "OFFSET_GONE"),
        ("9999999999999999_9999999999999990", 410, "OFFSET_GONE"),
        ("0000000100000000_0000000000000010", 503, "UNAVAILABLE"),
    ] {
        let page = read(&server, ahead);
        assert_eq!((page.status, &*page.code()), (status, code), "{ahead}");
        assert_eq!(page.get("retry-after").is_empty(), status == 410);
    }
    // The Yjs server adds 1 to the tail; the sum still means the tail.
    let tail = read(&server, "0000000000000000_0000000000000031");
    assert_eq!((tail.status, tail.text()), (200, ""));
    // First the open segment grows past the place; then it is sealed, and another one begins.
    append(&server, TEXT, "def");
    let page = read(&server, "0000000000000000_0000000000000040");
    assert_eq!(page.text(), "ef");
    append(&server, TEXT, "ghi");
    let page = read(&server, "0000000000000001_0000000000000000");
    assert_eq!((page.status, page.text()), (200, ""));
    append(&server, TEXT, "j");
    let page = read(&server, "0000000000000001_0000000000000000");
    assert_eq!(page.text(), "j");
    let page = read(&server, "0000000000000000_0000000000000100");
    assert_eq!((page.status, &*page.code()), (400, "INVALID_OFFSET"));
}

#[test]
fn a_second_life_never_repeats_a_token_of_the_first() {
    let (_, server) = world(&[("inline_tail_bytes", "4")]);
    create(&server, TEXT);
    let mut given = vec![ZERO.to_owned()];
    for body in ["ab", "cde", "f"] {
        given.push(append(&server, TEXT, body));
    }
    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
    create(&server, TEXT);
    for offset in &given[1..] {
        let page = read(&server, offset);
        assert_eq!((page.status, &*page.code()), (410, "OFFSET_GONE"));
    }
    let again = append(&server, TEXT, "x");
    assert!(given.iter().all(|offset| *offset < again));
    for start in ["-1", ZERO] {
        assert_eq!(read(&server, start).text(), "x");
    }
}

#[test]
fn a_tag_that_still_holds_is_a_304_and_any_change_ends_it() {
    let (_, server) = world(&[]);
    create(&server, TEXT);
    append(&server, TEXT, "abc");
    let page = read(&server, "-1");
    let tag = page.get("etag").to_owned();
    let ask_if = |tag: &str| ask("GET", "s?offset=-1").header("if-none-match", tag);
    for field in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let same = call(&server, ask_if(&field));
        assert_eq!((same.status, same.text()), (304, ""), "{field}");
        assert_eq!(same.get("etag"), tag);
        assert_eq!(same.offset(), page.offset());
        assert_eq!(same.get("cache-control"), page.get("cache-control"));
        assert_eq!(same.get("content-length"), "");
    }
    assert_eq!(call(&server, ask_if("\"x\"")).status, 200);
    call(&server, ask("POST", "s").header("stream-closed", "true"));
    let closed = call(&server, ask_if(&tag));
    assert_eq!((closed.status, closed.get("stream-closed")), (200, "true"));
    assert_ne!(closed.get("etag"), tag);
}

#[test]
fn a_lost_value_that_a_head_names_is_a_503_and_never_an_end_of_data() {
    let (world, server) = world(&[("inline_tail_bytes", "0")]);
    create(&server, TEXT);
    for n in 0..70 {
        append(&server, TEXT, format!("<{n}>"));
    }
    for kind in ["c.", "i."] {
        let key = world.keys().into_iter().find(|key| key.starts_with(kind));
        let key = key.unwrap();
        let value = world.peek(&key).unwrap();
        world.poke(&key, None);
        let page = read(&server, "-1");
        assert_eq!((page.status, &*page.code()), (503, "UNAVAILABLE"), "{key}");
        world.poke(&key, Some(&value));
        assert_eq!(read(&server, "-1").status, 200);
    }
}

#[test]
fn a_chunk_that_is_lost_in_the_middle_of_a_page_resets_the_connection() {
    let (world, server) = world(&[("inline_tail_bytes", "0"), ("page_bytes", "16777216")]);
    create(&server, TEXT);
    for byte in ["a", "b", "c"] {
        append(&server, TEXT, byte.repeat(262_144));
    }
    let page = read(&server, "-1");
    assert_eq!(page.get("content-length"), "786432");
    assert_eq!(page.body.len(), 786_432);
    let mut lost = String::new();
    for key in world.keys().into_iter().filter(|key| key.starts_with("c.")) {
        if world.peek(&key).unwrap().starts_with(b"c") {
            world.poke(&key, None);
            lost = key;
        }
    }
    let page = read(&server, "-1");
    assert_eq!((page.status, page.reset), (200, true));
    assert_eq!(page.body.len(), 524_288);
    let is_logged = world.log_lines().iter().any(|line| line.contains(&lost));
    assert!(
        is_logged,
        "the log does not name the lost chunk: {:?}",
        world.log_lines()
    );
}

#[test]
fn a_page_that_was_announced_is_completed_though_the_stream_goes_on() {
    use crate::service::exchange::{Cause, Next};
    let (_, server) = world(&[("page_bytes", "16777216"), ("inline_tail_bytes", "131072")]);
    create(&server, JSON);
    let message = format!("\"{}\"", "m".repeat(200_000));
    append(&server, JSON, &message);
    let inline = format!("\"{}\"", "i".repeat(100_000));
    append(&server, JSON, &inline);
    let mut answer = server.start(&[ask("GET", "s").raw()], None).remove(0);
    let mut body = std::mem::take(&mut answer.body);
    let mut n = 0;
    while let Next::Ready(token) = answer.next {
        // The inline tail is sealed during the read of the page.
        append(&server, JSON, format!("\"{}\"", "n".repeat(140_000)));
        n += 1;
        answer = server.resume(&token, Cause::Ready);
        body.append(&mut answer.body);
    }
    assert!(n > 0);
    assert_eq!(answer.next, Next::Done);
    assert_eq!(body, format!("[{message},{inline}]").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn pages_put_together_are_the_appended_bytes(
        sizes in proptest::collection::vec(1usize..3000, 1..40),
        inline in 0usize..4000,
        page in 1u64..9000,
        json: bool,
    ) {
        let inline = inline.to_string();
        let (_, server) = world(&[("inline_tail_bytes", &inline), ("page_bytes", &page.to_string())]);
        let kind = if json { JSON } else { TEXT };
        create(&server, kind);
        let mut expected = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            let body = format!("\"{n}{}\"", "x".repeat(*size));
            append(&server, kind, &body);
            expected.push(body);
        }
        let all = String::from_utf8(read_all(&server, "s")).unwrap();
        let expected = if json {
            // Every page is an array of its own.
            prop_assert!(all.starts_with('[') && all.ends_with(']'));
            let all = all[1..all.len() - 1].replace("][", ",");
            prop_assert_eq!(all, expected.join(","));
            return Ok(());
        } else {
            expected.concat()
        };
        prop_assert_eq!(all, expected);
    }
}

/// A stream of `text/html` with a script in it ran that script with the rights of its origin.
#[test]
fn the_content_of_a_stream_is_sandboxed_and_its_metadata_are_not() {
    let (_, server) = world(&[]);
    create(&server, "text/html");
    append(&server, "text/html", "<script>steal()</script>");
    for (method, expected) in [("GET", "sandbox"), ("HEAD", "")] {
        let response = call(&server, ask(method, "s"));
        assert_eq!(response.status, 200);
        assert_eq!(
            response.get("content-security-policy"),
            expected,
            "{method}"
        );
    }
}

/// A browser that followed the advice to read from -1 got the old life's page from its cache.
#[test]
fn an_offset_of_an_earlier_life_is_answered_with_a_url_that_no_cache_holds() {
    let (world, server) = world(&[]);
    create(&server, TEXT);
    let old = append(&server, TEXT, "old");
    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
    create(&server, TEXT);
    append(&server, TEXT, "new");
    let gone = || read(&server, &old);
    let first = gone();
    assert_eq!((first.status, &*first.code()), (410, "OFFSET_GONE"));
    let next = first.offset().to_owned();
    assert!(first.text().contains(&next), "{}", first.text());
    assert_eq!(read(&server, &next).text(), "new");
    world.advance(60_000);
    let later = gone();
    assert_ne!(later.offset(), next);
    assert_eq!(read(&server, later.offset()).text(), "new");
}

/// Messages with everything in them that looks like the end of a message.
fn nasty() -> Vec<serde_json::Value> {
    use serde_json::json;
    vec![
        json!({"a": 1, "b": [1, 2, [3, 4]], "c": {"d": "x,y"}}),
        json!("a string, with \"quotes\", back\\slashes\\, and ]}, ends,"),
        json!(",\",\\\",\\\\,"),
        json!([[], [1], {}, {"": ","}, "[,"]),
        json!(12),
        json!({"text": "},{", "deep": [[[[["]"]]]], ","]}),
    ]
}

/// A reader that jumped into a message got `200` and the rest of the message.
#[test]
fn an_offset_is_good_exactly_where_a_message_ends() {
    for inline in ["0", "40", "16384"] {
        let (_, server) = world(&[("inline_tail_bytes", inline)]);
        create(&server, JSON);
        let messages = nasty();
        let whole: Vec<usize> = messages
            .iter()
            .map(|message| message.to_string().len() + 1)
            .collect();
        for pair in messages.chunks(2) {
            append(&server, JSON, serde_json::to_vec(pair).unwrap());
        }
        // Positions by segment: the loop finds their lengths by asking one byte at a time.
        let mut sent = 0;
        let mut good = 0;
        for segment in 0..4_u64 {
            for byte in 0..=whole.iter().sum::<usize>() {
                let offset = format!("{segment:016}_{byte:015}0");
                let page = read(&server, &offset);
                if page.status != 200 {
                    // Within a message, or beyond the tail.
                    let is_refused = match page.status {
                        400 => page.code() == "INVALID_OFFSET",
                        _ => (page.status, &*page.code()) == (410, "OFFSET_GONE"),
                    };
                    assert!(is_refused, "{offset}: {page:?}");
                    continue;
                }
                let left: Vec<serde_json::Value> = serde_json::from_slice(&page.body).unwrap();
                assert!(messages.ends_with(&left), "{offset}: {left:?}");
                sent = sent.max(left.len());
                good += usize::from(!left.is_empty());
            }
        }
        assert_eq!(sent, messages.len());
        // Each start of a message, and once more where a segment begins.
        assert!(good >= messages.len(), "{inline}: {good}");
    }
}

#[test]
fn an_offset_inside_a_message_of_several_chunks_is_refused_and_its_end_is_not() {
    let (_, server) = world(&[]);
    create(&server, JSON);
    let large = format!("\"{}\"", "a,\\\",".repeat(120_000));
    let after = append(&server, JSON, "[1,2]");
    let body = format!("[{large},[\"b,c\",3],4]");
    let tail = append(&server, JSON, body);
    let page = read(&server, &after);
    assert_eq!(page.status, 200, "{page:?}");
    let mut seen = Vec::new();
    for segment in 0..8_u64 {
        for byte in (0..262_145_u64).step_by(32_768).chain(262_140..262_146) {
            let offset = format!("{segment:016}_{byte:015}0");
            if offset > tail {
                continue;
            }
            let page = read(&server, &offset);
            if page.status == 200 {
                seen.push(offset);
            } else {
                assert_eq!((page.status, &*page.code()), (400, "INVALID_OFFSET"));
            }
        }
    }
    // The start, and the ends of the first two messages, each under two names.
    assert!(seen.len() <= 4, "{seen:?}");
    assert_eq!(read(&server, &tail).text(), "[]");
    // The message after the large one begins in the middle of the last chunk.
    let (segment, byte) = tail.split_once('_').unwrap();
    let end: u64 = byte.parse::<u64>().unwrap() / 10;
    let ends = |before: &str| end - before.len() as u64;
    for (rest, status) in [
        ("4,", 200),
        ("[\"b,c\",3],4,", 200),
        ("c\",3],4,", 400),
        ("3],4,", 400),
    ] {
        let offset = format!("{segment}_{:015}0", ends(rest));
        assert_eq!(read(&server, &offset).status, status, "{rest}");
    }
}
