//! Reads that begin near the tail: costs of the search, live reads, refusals, and streams that
//! change during the search.

use super::deletion::work_all;
use super::driver::{Ask, Came, Response, Server, ask, call, resume, send, serve};
use super::world::{Op, Quirk, World};
use crate::limits::{MAX_CHUNK_BYTES, TAIL_STEP_BYTES, TAIL_STEP_CHUNKS};
use crate::service::exchange::{Cause, Next};
use std::sync::{Arc, Mutex};

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain";
pub(super) const OCTETS: &str = "application/octet-stream";

fn world(variables: &[(&str, &str)]) -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    for (name, value) in variables {
        world.variable(name, value);
    }
    let server = serve(&world);
    (world, server)
}

fn put(server: &Server, name: &str, kind: &str) {
    let created = call(server, ask("PUT", name).content_type(kind));
    assert_eq!(created.status, 201, "{created:?}");
}

pub(super) fn post(server: &Server, name: &str, kind: &str, body: impl AsRef<[u8]>) -> Response {
    let appended = call(server, ask("POST", name).content_type(kind).body(body));
    assert_eq!(appended.status, 204, "{appended:?}");
    appended
}

pub(super) fn get(name: &str, query: &str) -> Ask {
    ask("GET", &format!("{name}?{query}"))
}

fn read(server: &Server, query: &str) -> Response {
    call(server, get("s", query))
}

/// The content from the start of a read to the tail, page by page. Messages as stored.
pub(super) fn rest(server: &Server, name: &str, tail: u64) -> Vec<u8> {
    let mut all = Vec::new();
    let mut query = format!("tail={tail}");
    loop {
        let page = call(server, get(name, &query));
        assert_eq!((page.status, page.reset), (200, false), "{page:?}");
        if query.starts_with("tail") {
            assert_eq!(page.get("cache-control"), "no-store");
            assert_eq!(page.get("etag"), "");
        }
        match page.get("content-type") {
            JSON if page.body == b"[]" => {}
            JSON => {
                assert_eq!((page.body[0], page.body.last()), (b'[', Some(&b']')));
                all.extend_from_slice(&page.body[1..page.body.len() - 1]);
                all.push(b',');
            }
            _ => all.extend_from_slice(&page.body),
        }
        if page.get("stream-up-to-date") == "true" {
            return all;
        }
        query = format!("offset={}", page.offset());
    }
}

/// Operations and bytes of the values that were read.
type Costs = Arc<Mutex<(usize, usize)>>;

fn counting(world: &Arc<World>) -> (Server, Costs) {
    let costs = Costs::default();
    let (shared, of) = (Arc::clone(world), Arc::clone(&costs));
    let hook = Box::new(move |_, op, key: &str| {
        let mut costs = of.lock().unwrap();
        costs.0 += 1;
        if op == Op::Get {
            costs.1 += shared.peek(key).map_or(0, |value| value.len());
        }
    });
    (Server::new(world.instance().with_hook(hook)), costs)
}

/// All steps of a search, and the costs of each.
fn steps(server: &Server, costs: &Costs, query: &str) -> (Vec<(usize, usize)>, Response) {
    let ask = get("s", query);
    let mut all = Vec::new();
    let mut attempt: Option<Vec<u8>> = None;
    loop {
        *costs.lock().unwrap() = (0, 0);
        let answer = server.start(&[ask.raw()], attempt.as_deref()).remove(0);
        all.push(*costs.lock().unwrap());
        match answer.next {
            Next::Again {
                wait_ms,
                attempt: next,
            } => {
                assert_eq!((wait_ms, answer.head), (0, None));
                attempt = Some(next);
            }
            _ => {
                let mut response = Response::default();
                let head = answer.head.unwrap();
                (response.status, response.headers) = (head.status, head.headers);
                response.body = answer.body;
                return (all, response);
            }
        }
    }
}

#[test]
fn the_cost_of_a_tail_does_not_grow_with_the_stream() {
    for kind in [JSON, TEXT, OCTETS] {
        let (world, server) = world(&[("inline_tail_bytes", "0")]);
        put(&server, "s", kind);
        let (counted, costs) = counting(&world);
        let mut before = 0;
        for _ in 0..3 {
            for _ in 0..640 {
                post(&server, "s", kind, "7");
            }
            let (steps, response) = steps(&counted, &costs, "tail=5");
            assert_eq!(response.body.len(), if kind == JSON { 11 } else { 5 });
            let [(ops, bytes)] = steps[..] else {
                panic!("{steps:?}");
            };
            assert!(ops < 30 && bytes < 20_000, "{kind}: {steps:?}");
            assert!(before == 0 || ops == before, "{kind}: {ops} and {before}");
            before = ops;
        }
    }
}

/// Ten thousand large messages must not become one long step, nor must one message that is larger
/// than a step.
#[test]
fn each_step_of_a_search_is_bounded() {
    let large = format!("\"{}\"", "x".repeat(9_000_000));
    let middle = format!("[\"{0}\",\"{0}\"]", "y".repeat(400_000));
    for (inline, bodies, tail, least) in [
        ("0", vec!["[1,2]".to_owned(); 1500], 2900, 80),
        ("16384", vec![large; 3], 2, 16),
        ("16384", vec![middle; 20], 39, 14),
    ] {
        let (world, server) = world(&[("inline_tail_bytes", inline)]);
        put(&server, "s", JSON);
        for body in &bodies {
            post(&server, "s", JSON, body);
        }
        let (counted, costs) = counting(&world);
        let (steps, response) = steps(&counted, &costs, &format!("tail={tail}"));
        assert_eq!(response.status, 200);
        assert!(steps.len() >= least, "{}", steps.len());
        let (last, searched) = steps.split_last().unwrap();
        for (ops, bytes) in searched {
            // The head, the blocks of a message that is larger than a step, and two at the edge.
            assert!(*ops <= TAIL_STEP_CHUNKS + 6, "{steps:?}");
            assert!(
                *bytes <= TAIL_STEP_BYTES + MAX_CHUNK_BYTES + 50_000,
                "{steps:?}"
            );
        }
        // The last step also plans and begins the page.
        assert!(last.0 <= 120 && last.1 <= 2 * TAIL_STEP_BYTES, "{last:?}");
    }
}

#[test]
fn the_search_for_a_place_between_tiny_segments_takes_bounded_steps() {
    let (world, server) = world(&[("inline_tail_bytes", "0")]);
    put(&server, "s", TEXT);
    for _ in 0..2500 {
        post(&server, "s", TEXT, "x");
    }
    let (counted, costs) = counting(&world);
    let (steps, _) = steps(&counted, &costs, "tail=2400");
    assert_eq!(steps.len(), 3);
    for (ops, _) in &steps[..2] {
        assert!(*ops <= 20, "{steps:?}");
    }
    assert_eq!(rest(&server, "s", 2400).len(), 2400);
}

#[test]
fn a_tail_that_is_out_of_range_or_beside_an_offset_is_400() {
    for (kind, most) in [(JSON, 10_000), (TEXT, 1_048_576)] {
        let (_, server) = world(&[]);
        put(&server, "s", kind);
        post(&server, "s", kind, "7");
        for live in ["", "&live=long-poll", "&live=sse"] {
            for tail in [
                "tail=0",
                "tail=-1",
                "tail=1.5",
                "tail=",
                "tail=1&tail=1",
                "tail=1&offset=-1",
                "tail=1&offset=now",
                "tail=1048577",
                &format!("tail={}", most + 1),
            ] {
                let refused = read(&server, &format!("{tail}{live}"));
                assert_eq!((refused.status, &*refused.code()), (400, "BAD_REQUEST"));
            }
        }
        assert_eq!(read(&server, &format!("tail={most}")).status, 200);
        assert_eq!(call(&server, ask("HEAD", "s?tail=0&offset=x")).status, 200);
        assert_eq!(call(&server, get("t", "tail=1")).status, 404);
    }
}

#[test]
fn caches_keep_no_answer_to_a_tail() {
    let (_, server) = world(&[]);
    put(&server, "s", TEXT);
    post(&server, "s", TEXT, "abc");
    let tag = read(&server, "offset=-1").get("etag").to_owned();
    for query in ["tail=3", "tail=3&live=long-poll", "tail=4"] {
        let fresh = call(&server, get("s", query).header("if-none-match", &tag));
        assert_eq!((fresh.status, fresh.text()), (200, "abc"));
        assert_eq!(fresh.get("cache-control"), "no-store");
        assert_eq!(fresh.get("etag"), "");
    }
}

#[test]
fn a_live_read_begins_near_the_tail_and_continues_there() {
    let (_, server) = world(&[]);
    put(&server, "s", JSON);
    post(&server, "s", JSON, "[1,2,3]");
    let polled = read(&server, "tail=2&live=long-poll");
    assert_eq!((polled.status, polled.text()), (200, "[2,3]"));
    assert!(!polled.get("stream-cursor").is_empty());
    let sse = send(&server, get("s", "tail=2&live=sse")).waiting();
    let begun = sse.response.text();
    assert!(
        begun.starts_with("event: data\ndata:[2,3]\n\nevent: control"),
        "{begun}"
    );
    post(&server, "s", JSON, "4");
    let more = resume(&server, sse, Cause::Changed).waiting();
    assert!(more.response.text().contains("data:[4]\n"));
    // A reader with a fixed place and one from the tail hold equal tokens, and so share answers.
    let fixed = format!("offset={}&live=sse", polled.offset());
    let fixed = send(&server, get("s", &fixed)).waiting();
    let near = send(&server, get("s", "tail=1&live=sse")).waiting();
    assert_eq!((&fixed.token, &fixed.key), (&near.token, &near.key));
}

#[test]
fn a_live_read_of_an_empty_stream_waits_and_then_gets_all() {
    for (kind, body, data) in [(JSON, "[1,2]", "[1,2]"), (TEXT, "abc", "abc")] {
        let (_, server) = world(&[]);
        put(&server, "s", kind);
        let empty = read(&server, "tail=1");
        assert_eq!(empty.text(), if kind == JSON { "[]" } else { "" });
        assert_eq!(empty.get("stream-up-to-date"), "true");
        let poll = send(&server, get("s", "tail=1&live=long-poll")).waiting();
        let sse = send(&server, get("s", "tail=1&live=sse")).waiting();
        post(&server, "s", kind, body);
        let polled = resume(&server, poll, Cause::Changed).whole();
        assert_eq!((polled.status, polled.text()), (200, data));
        assert_eq!(polled.get("cache-control"), "no-store");
        assert_eq!(polled.get("etag"), "");
        let sse = resume(&server, sse, Cause::Changed).waiting();
        assert!(sse.response.text().contains(&format!("data:{data}\n")));
    }
}

#[test]
fn a_tail_of_a_closed_stream_ends_the_read() {
    for (body, data) in [("", ""), ("abc", "bc")] {
        let (_, server) = world(&[]);
        let close = ask("PUT", "s").content_type(TEXT).body(body);
        call(&server, close.header("stream-closed", "true"));
        let page = read(&server, "tail=2");
        assert_eq!((page.status, page.text()), (200, data));
        let polled = read(&server, "tail=2&live=long-poll");
        let status = if body.is_empty() { 204 } else { 200 };
        assert_eq!((polled.status, polled.text()), (status, data));
        for response in [page, polled] {
            assert_eq!(response.get("stream-closed"), "true");
        }
        let sse = read(&server, "tail=2&live=sse");
        assert!(sse.text().contains("\"streamClosed\":true"));
        assert_eq!(sse.text().contains("data:bc\n"), !body.is_empty());
    }
}

/// A stream of 40 messages, and the attempt of the second step of a read.
fn begun(world: &Arc<World>, query: &str) -> (Server, Ask, Vec<u8>) {
    let server = serve(world);
    put(&server, "s", JSON);
    for n in 0..40 {
        post(&server, "s", JSON, n.to_string());
    }
    let ask = get("s", query);
    let answer = server.start(&[ask.raw()], None).remove(0);
    let Next::Again { attempt, .. } = answer.next else {
        panic!("{answer:?}");
    };
    (server, ask, attempt)
}

fn go_on(server: &Server, ask: &Ask, mut attempt: Vec<u8>) -> (u16, String) {
    loop {
        let answer = server.start(&[ask.raw()], Some(&attempt)).remove(0);
        match answer.next {
            Next::Again { attempt: next, .. } => attempt = next,
            _ => {
                let body = String::from_utf8(answer.body).unwrap();
                return (answer.head.unwrap().status, body);
            }
        }
    }
}

fn numbers(from: u64, to: u64) -> String {
    let numbers: Vec<_> = (from..to).map(|n| n.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

#[test]
fn a_search_goes_on_by_any_instance_while_the_stream_grows() {
    let (world, _) = world(&[("inline_tail_bytes", "0")]);
    let (server, ask, attempt) = begun(&world, "tail=30");
    post(&server, "s", JSON, "40");
    let other = serve(&world);
    assert_eq!(go_on(&other, &ask, attempt), (200, numbers(10, 41)));
}

#[test]
fn a_search_starts_anew_when_the_stream_is_another_one() {
    let (world, _) = world(&[("inline_tail_bytes", "0")]);
    let (server, ask, attempt) = begun(&world, "tail=30");
    assert_eq!(call(&server, delete()).status, 204);
    assert_eq!(go_on(&server, &ask, attempt.clone()).0, 404);
    put(&server, "s", JSON);
    for n in 0..50 {
        post(&server, "s", JSON, n.to_string());
    }
    assert_eq!(go_on(&server, &ask, attempt), (200, numbers(20, 50)));
}

fn delete() -> Ask {
    ask("DELETE", "s")
}

#[test]
fn a_search_starts_anew_when_the_store_went_back_in_time() {
    let (world, server) = world(&[("inline_tail_bytes", "0")]);
    put(&server, "s", JSON);
    for n in 0..10 {
        post(&server, "s", JSON, n.to_string());
    }
    let backup = world.backup();
    for n in 0..40 {
        post(&server, "s", JSON, format!("\"lost{n}\""));
    }
    let ask = get("s", "tail=30");
    let answer = server.start(&[ask.raw()], None).remove(0);
    let Next::Again { attempt, .. } = answer.next else {
        panic!("{answer:?}");
    };
    world.restore(&backup);
    world.variable("timeline", "1");
    let server = serve(&world);
    assert_eq!(go_on(&server, &ask, attempt.clone()), (200, numbers(0, 10)));
    for n in 10..50 {
        post(&server, "s", JSON, n.to_string());
    }
    assert_eq!(go_on(&server, &ask, attempt), (200, numbers(20, 50)));
}

#[test]
fn a_stream_that_ends_during_a_search_is_missing_and_not_damaged() {
    let (world, _) = world(&[("inline_tail_bytes", "0")]);
    let (_, ask, attempt) = begun(&world, "tail=30");
    let shared = Arc::clone(&world);
    let mut ended = false;
    let ends = Box::new(move |_, op, key: &str| {
        if op == Op::Get && key.starts_with("c.") && !std::mem::replace(&mut ended, true) {
            let other = serve(&shared);
            assert_eq!(call(&other, delete()).status, 204);
            work_all(&other);
        }
    });
    let reader = Server::new(world.instance().with_hook(ends));
    assert_eq!(go_on(&reader, &ask, attempt).0, 404);
}

#[test]
fn a_whole_tail_is_one_exchange_for_a_driver() {
    let (world, _) = world(&[("inline_tail_bytes", "0")]);
    let (server, ask, _) = begun(&world, "tail=30&live=sse");
    let Came::Waits(waiting) = send(&server, ask) else {
        panic!("it ended");
    };
    let data = format!("data:{}\n", numbers(10, 40));
    assert!(waiting.response.text().contains(&data));
}
