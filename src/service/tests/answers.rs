//! Answers that depend on the configuration, or on the state of the store or of a producer.

use super::driver::{Ask, ask, call, read_all, resume, send, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Cause;
use std::sync::Arc;

fn text(method: &str, body: &str) -> Ask {
    ask(method, "s").content_type("text/plain").body(body)
}

/// A malformed variable was reported only if the request had no other problem. With a custom
/// `base_path` every request had one, because the service used the default path.
#[test]
fn a_malformed_variable_answers_everything_but_health() {
    let world = World::new(Quirk::Plain, 1);
    world.variable("base_path", "/mine");
    world.variable("page_bytes", "many");
    let server = serve(&world);
    for request in [
        ask("PUT", "s"),
        ask("GET", "s").at("/mine/s"),
        ask("GET", "s").at("/nowhere"),
        ask("PATCH", "s"),
        ask("GET", "s").at("/readyz"),
    ] {
        let response = call(&server, request);
        assert_eq!((response.status, &*response.code()), (503, "MISCONFIGURED"));
    }
    for path in ["/health", "/healthz"] {
        assert_eq!(call(&server, ask("GET", "").at(path)).status, 200);
    }
    assert!(!server.work(0).worked);
    assert!(
        world
            .log_lines()
            .iter()
            .any(|line| line.contains("page_bytes"))
    );
}

/// The service took the variable's default. When a vault did not answer once, an instance admitted
/// every caller, or wrote under the names of another deployment.
#[test]
fn a_variable_that_can_not_be_read_does_not_count_as_absent() {
    let world = World::new(Quirk::Plain, 1);
    let good = serve(&world);
    assert_eq!(call(&good, text("PUT", "x")).status, 201);
    let waiting = send(&good, ask("GET", "s?offset=now&live=long-poll")).waiting();
    for name in ["auth_tokens", "key_namespace"] {
        let world = world.clone();
        world.withhold(name);
        let server = serve(&world);
        assert!(!server.is_settled());
        for request in [
            text("PUT", "x"),
            ask("GET", "s"),
            ask("GET", "s").at("/readyz"),
        ] {
            let response = call(&server, request);
            assert_eq!((response.status, &*response.code()), (503, "UNAVAILABLE"));
            assert_eq!(response.get("retry-after"), "1");
        }
        assert_eq!(call(&server, ask("GET", "").at("/health")).status, 200);
        assert!(!server.work(0).worked);
        assert!(world.log_lines().iter().any(|line| line.contains(name)));
        world.variable(name, "");
    }
    world.withhold("auth_tokens");
    let polled = resume(&serve(&world), waiting, Cause::Changed).whole();
    assert_eq!((polled.status, &*polled.code()), (503, "UNAVAILABLE"));
    world.variable("auth_tokens", "");
    assert!(serve(&world).is_settled());
}

/// Two ways of creating records would overwrite each other's records. Both ways read and swap an
/// existing record alike.
#[test]
fn a_store_of_the_other_creation_mode_serves_its_streams_and_creates_none() {
    for first in ["true", "false"] {
        let world = World::new(Quirk::Plain, 1);
        world.variable("kv_guarded_create", first);
        assert_eq!(call(&serve(&world), text("PUT", "x")).status, 201);
        let other = if first == "true" { "false" } else { "true" };
        world.variable("kv_guarded_create", other);
        let keys = world.keys();
        for request in [
            ask("PUT", "new").content_type("text/plain"),
            ask("GET", "new"),
            ask("POST", "new").content_type("text/plain").body("x"),
            ask("GET", "").at("/readyz"),
            ask("POST", "__ds/tick"),
        ] {
            let response = call(&serve(&world), request);
            assert_eq!((response.status, &*response.code()), (503, "MISCONFIGURED"));
        }
        assert!(!serve(&world).work(0).worked);
        assert_eq!(world.keys(), keys);
        let lines = world.log_lines();
        assert!(lines.iter().any(|line| line.contains("kv_guarded_create")));
        assert_eq!(call(&serve(&world), text("POST", "y")).status, 204);
        world.variable("kv_guarded_create", first);
        assert_eq!(read_all(&serve(&world), "s"), b"xy");
    }
}

/// An instance that serves one request, as on Spin 3, reads nothing but the record from the store.
#[test]
fn the_first_append_and_the_first_read_of_an_instance_read_one_record() {
    let world = World::new(Quirk::SpinSqlite, 1);
    assert_eq!(call(&serve(&world), text("PUT", "x")).status, 201);
    let first = |request| {
        let server = serve(&world);
        assert!(call(&server, request).status < 300);
        server.env().ops()
    };
    assert_eq!(first(ask("GET", "s")), 1);
    // A handle, its value, the swap.
    assert_eq!(first(text("POST", "y")), 3);
    // Where every swap is reported as failed, a plain read shows that it was applied.
    let world = World::new(Quirk::SpinRedis, 1);
    assert_eq!(call(&serve(&world), text("PUT", "x")).status, 201);
    let server = serve(&world);
    assert_eq!(call(&server, text("POST", "y")).status, 204);
    assert_eq!(server.env().ops(), 4);
}

#[test]
fn a_tick_asks_for_its_token() {
    let world = World::new(Quirk::Plain, 1);
    let tick = || ask("POST", "__ds/tick");
    assert_eq!(call(&serve(&world), tick()).status, 200);
    world.variable("tick_token", "secret");
    let server = serve(&world);
    for request in [
        tick(),
        tick().header("authorization", "Bearer secre"),
        tick().header("authorization", "Bearer secret2"),
    ] {
        assert_eq!(call(&server, request).status, 401);
    }
    let right = tick().header("authorization", "Bearer secret");
    let response = call(&server, right);
    assert_eq!(
        (response.status, response.text()),
        (200, "{\"worked\":false,\"pieces\":0}")
    );
}

/// A tick did one piece of work, so a scheduler that calls once a minute never caught up.
#[test]
fn a_tick_works_until_its_budget_is_used_or_nothing_is_left() {
    let left_over = || {
        let world = World::new(Quirk::Plain, 1);
        let server = serve(&world);
        for stream in 0..20 {
            let name = format!("s{stream}");
            let body = "x".repeat(100_000);
            let create = ask("PUT", &name).content_type("text/plain").body(&body);
            let create = create.header("stream-ttl", "1");
            assert_eq!(call(&server, create).status, 201);
        }
        world.advance(3_600_000);
        world
    };
    let pieces = |world: &Arc<World>| {
        let response = call(&serve(world), ask("POST", "__ds/tick"));
        assert_eq!(response.status, 200);
        let answer: serde_json::Value = serde_json::from_str(response.text()).unwrap();
        answer["pieces"].as_u64().unwrap()
    };
    let world = left_over();
    let chunks = |world: &World| {
        let keys = world.keys();
        keys.iter().filter(|key| key.starts_with("c.")).count()
    };
    assert!(chunks(&world) >= 20);
    let all = pieces(&world);
    assert!(all >= 20, "{all}");
    assert_eq!(chunks(&world), 0);
    assert_eq!(pieces(&world), 0);

    // Each operation takes so long that the budget ends before the work.
    let world = left_over();
    world.set_op_us(10_000);
    let began = world.now_ms();
    let some = pieces(&world);
    assert!((1..all).contains(&some), "{some} of {all}");
    // The last piece may begin just before the end.
    let took = world.now_ms() - began;
    assert!((1_000..3_000).contains(&took), "{took}");
}

#[test]
fn a_stream_grows_to_its_limit_and_no_further() {
    let world = World::new(Quirk::Plain, 1);
    world.variable("max_stream_bytes", "10");
    let server = serve(&world);
    let refused = call(&server, text("PUT", "12345678901"));
    assert_eq!((refused.status, &*refused.code()), (413, "STREAM_FULL"));
    assert_eq!(call(&server, text("PUT", "123456")).status, 201);
    let refused = call(&server, text("POST", "78901"));
    assert_eq!((refused.status, &*refused.code()), (413, "STREAM_FULL"));
    assert_eq!(call(&server, text("POST", "7890")).status, 204);
    let close = ask("POST", "s").header("stream-closed", "true");
    assert_eq!(call(&server, close).status, 204);
    assert_eq!(read_all(&server, "s"), b"1234567890");
}

/// The service judged the size before it read the name. So a repeated creation got 413 once
/// `max_stream_bytes` had been lowered.
#[test]
fn an_existing_name_is_reported_before_a_limit() {
    let world = World::new(Quirk::Plain, 1);
    assert_eq!(call(&serve(&world), text("PUT", "123456")).status, 201);
    world.variable("max_stream_bytes", "3");
    let server = serve(&world);
    assert_eq!(call(&server, text("PUT", "123456")).status, 200);
    let other = ask("PUT", "s").content_type("a/b").body("123456");
    assert_eq!(call(&server, other).status, 409);
}

/// Each page load of a Yjs document is a producer. The 257th within an hour could not write, and
/// its user got no notice.
#[test]
fn a_document_takes_the_edits_of_600_page_loads_an_hour() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, text("PUT", ""));
    let mut expected = String::new();
    for load in 0..600 {
        for seq in 0..2 {
            let edit = format!("<{load}.{seq}>");
            let append = text("POST", &edit).producer(&format!("load-{load}"), 1, seq);
            let response = call(&server, append.clone());
            assert_eq!(response.status, 200, "{edit}: {response:?}");
            // The answer was lost, and the client tries again.
            assert_eq!(call(&server, append).status, 204, "{edit}");
            expected.push_str(&edit);
        }
        world.advance(6_000);
    }
    assert_eq!(read_all(&server, "s"), expected.as_bytes());
}

#[test]
fn a_full_table_of_producers_is_a_429_until_one_was_idle_long_enough() {
    let world = World::new(Quirk::Plain, 1);
    world.variable("max_producers", "2");
    world.variable("producer_idle_secs", "60");
    let server = serve(&world);
    call(&server, text("PUT", ""));
    for id in ["a", "b"] {
        let response = call(&server, text("POST", id).producer(id, 0, 0));
        assert_eq!(response.status, 200);
        assert_eq!(
            (response.get("producer-epoch"), response.get("producer-seq")),
            ("0", "0")
        );
        world.advance(1_000);
    }
    let third = || text("POST", "c").producer("c", 0, 0);
    let refused = call(&server, third());
    assert_eq!(
        (refused.status, &*refused.code()),
        (429, "TOO_MANY_PRODUCERS")
    );
    // The first producer may go once it has been idle for more than 60 s; two of them are over.
    assert_eq!(refused.get("retry-after"), "59");
    assert_eq!(
        call(&server, text("POST", "A").producer("a", 0, 1)).status,
        200
    );
    world.advance(60_000);
    assert_eq!(call(&server, third()).status, 200);
    // The producer that was idle longest is forgotten, the other is not.
    let known = call(&server, text("POST", "A").producer("a", 0, 1));
    assert_eq!(known.status, 204);
    assert_eq!(read_all(&server, "s"), b"abAc");
}

#[test]
fn a_producer_gets_its_current_epoch_and_sequence() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, text("PUT", ""));
    let send = |epoch, seq| call(&server, text("POST", "x").producer("p", epoch, seq));
    assert_eq!(send(3, 0).status, 200);
    assert_eq!(send(3, 1).status, 200);
    let again = send(3, 0);
    assert_eq!((again.status, again.get("producer-seq")), (204, "1"));
    let gap = send(3, 5);
    assert_eq!((gap.status, &*gap.code()), (409, "SEQUENCE_CONFLICT"));
    assert_eq!(gap.get("producer-expected-seq"), "2");
    assert_eq!(gap.get("producer-received-seq"), "5");
    let fenced = send(2, 0);
    assert_eq!((fenced.status, fenced.get("producer-epoch")), (403, "3"));
    assert_eq!(send(4, 1).status, 400);
    assert_eq!(send(4, 0).status, 200);
    assert_eq!(read_all(&server, "s"), b"xxx");
}

#[test]
fn only_the_tuple_of_a_closing_append_repeats_it() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, text("PUT", ""));
    let closing = |body, seq| {
        text("POST", body)
            .producer("p", 0, seq)
            .header("stream-closed", "true")
    };
    assert_eq!(
        call(&server, text("POST", "a").producer("p", 0, 0)).status,
        200
    );
    let closed = call(&server, closing("b", 1));
    assert_eq!((closed.status, closed.get("stream-closed")), (200, "true"));
    let again = call(&server, closing("b", 1));
    assert_eq!((again.status, again.get("stream-closed")), (204, "true"));
    assert_eq!(again.offset(), closed.offset());
    for request in [
        closing("c", 2),
        text("POST", "a").producer("p", 0, 0),
        text("POST", "d"),
    ] {
        let refused = call(&server, request);
        assert_eq!((refused.status, &*refused.code()), (409, "STREAM_CLOSED"));
        assert_eq!(refused.get("stream-closed"), "true");
        assert_eq!(refused.offset(), closed.offset());
    }
    let close_only = ask("POST", "s").header("stream-closed", "true");
    assert_eq!(call(&server, close_only).status, 204);
    assert_eq!(read_all(&server, "s"), b"ab");
}

#[test]
fn only_an_equal_creation_counts_as_a_repetition() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    let create = || {
        ask("PUT", "s")
            .content_type("Text/Plain; charset=utf-8")
            .header("stream-ttl", 60)
    };
    let created = call(&server, create().body("abc"));
    assert_eq!(created.status, 201);
    assert_eq!(created.offset(), "0000000000000000_0000000000000030");
    let again = call(&server, text("PUT", "").header("stream-ttl", 60));
    assert_eq!((again.status, again.offset()), (200, created.offset()));
    assert_eq!(again.get("content-type"), "Text/Plain; charset=utf-8");
    for request in [
        text("PUT", ""),
        create().header("stream-closed", "true"),
        ask("PUT", "s").content_type("a/b").header("stream-ttl", 60),
        text("PUT", "").header("stream-ttl", 61),
    ] {
        let refused = call(&server, request);
        assert_eq!((refused.status, &*refused.code()), (409, "ALREADY_EXISTS"));
    }
    call(&server, ask("POST", "s").header("stream-closed", "true"));
    let closed = call(&server, create().header("stream-closed", "true"));
    assert_eq!((closed.status, closed.get("stream-closed")), (200, "true"));
    assert_eq!(call(&server, create()).status, 409);
}

#[test]
fn a_damaged_record_is_a_500_and_a_line_in_the_log() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, text("PUT", "abc"));
    let key = world
        .keys()
        .into_iter()
        .find(|key| key.starts_with("s."))
        .unwrap();
    for damaged in [
        &b""[..],
        b"\x02",
        b"\x01\x00",
        b"\x01\x00\x01\x07",
        b"garbage",
    ] {
        world.poke(&key, Some(damaged));
        for request in [
            ask("GET", "s"),
            ask("DELETE", "s"),
            text("PUT", "x"),
            text("POST", "x"),
        ] {
            let response = call(&server, request);
            assert_eq!(
                (response.status, &*response.code()),
                (500, "INTERNAL_ERROR")
            );
            assert!(!response.text().contains(&key));
        }
    }
    assert!(world.log_lines().iter().any(|line| line.contains(&key)));
}

#[test]
fn malformed_tokens_and_attempts_never_trap() {
    use crate::service::exchange::{Cause, Next};
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, text("PUT", "abc"));
    for length in 0..80 {
        let bytes: Vec<u8> = (0..length).map(|_| world.random() as u8).collect();
        assert_eq!(server.resume(&bytes, Cause::Changed).next, Next::Reset);
        for request in [text("POST", "x"), text("PUT", "x"), ask("DELETE", "t")] {
            let answers = server.start(&[request.raw()], Some(&bytes));
            assert_eq!(answers.len(), 1);
        }
    }
}
