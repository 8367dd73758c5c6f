//! Competing creators, and creators that vanish.

use super::driver::{Response, ask, call, call_in_turn, read_all, serve};
use super::schedule::Baton;
use super::world::{Faults, Op, Quirk, World};
use crate::service::Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CREATORS: usize = 8;

fn put(body: &str) -> super::driver::Ask {
    ask("PUT", "s").content_type("text/plain").body(body)
}

/// `CREATORS` creations at once, with different bodies; every fourth wants another content type.
fn compete(world: &Arc<World>) -> Vec<Response> {
    world.set_op_us(400);
    let responses = Baton::run(world, CREATORS, |baton, place| {
        let env = world.instance().taking_turns(baton.clone(), place);
        let server = Service::new(env);
        let kind = if place % 4 == 3 { "a/b" } else { "text/plain" };
        let create = ask("PUT", "s")
            .content_type(kind)
            .body(format!("<{place}>"));
        call_in_turn(&server, &baton, place, create)
    });
    world.set_faults(Faults::default());
    world.land_late();
    responses
}

fn winners(responses: &[Response]) -> Vec<usize> {
    let won = responses
        .iter()
        .enumerate()
        .filter(|(_, response)| response.status == 201);
    won.map(|(place, _)| place).collect()
}

#[test]
fn of_8_concurrent_creators_one_gets_201_and_its_body_is_kept() {
    for quirk in Quirk::ALL {
        let mut waited = 0;
        for seed in 0..50 {
            let world = World::new(quirk, seed);
            let began = world.now_ms();
            let responses = compete(&world);
            let winners = winners(&responses);
            assert_eq!(winners.len(), 1, "{quirk:?} seed {seed}: {responses:?}");
            let body = read_all(&serve(&world), "s");
            assert_eq!(body, format!("<{}>", winners[0]).as_bytes());
            for response in &responses {
                assert!(matches!(response.status, 200 | 201 | 409), "{response:?}");
            }
            waited = waited.max(world.now_ms() - began);
        }
        println!("{quirk:?}: 50 rounds, the longest took {waited} ms of virtual time");
        assert!(waited < 5_000);
    }
}

/// The stream was deleted and created again before its creator looked. The creator got 200 or 409,
/// as if the stream that it had created itself had belonged to another caller.
#[test]
fn a_creator_whose_stream_was_deleted_and_replaced_does_not_get_200_or_409() {
    for quirk in Quirk::ALL {
        for again in [false, true] {
            let world = World::new(quirk, 1);
            world.variable("registry", "false");
            let other = serve(&world);
            if again {
                assert_eq!(call(&other, put("before")).status, 201);
                assert_eq!(call(&other, ask("DELETE", "s")).status, 204);
                super::deletion::work_all(&other);
            }
            let (faulty, mut step) = (world.clone(), 0);
            let env = world.instance().with_hook(Box::new(move |_, op, key| {
                match (step, op) {
                    // The swap that makes it visible is answered with an error.
                    (0, Op::Swap) if key.starts_with("s.") => {
                        let after = 1000;
                        faulty.set_faults(Faults {
                            after,
                            ..Faults::default()
                        });
                        step = 1;
                    }
                    (1, _) => {
                        faulty.set_faults(Faults::default());
                        step = 0;
                        if call(&other, ask("DELETE", "s")).status == 204 {
                            step = 2;
                            assert_eq!(call(&other, put("other")).status, 201);
                        }
                    }
                    _ => {}
                }
            }));
            let response = call(&Service::new(env), put("mine"));
            let case = format!("{quirk:?} {again}: {response:?}");
            let known = response.status == 201;
            assert!(known || response.code() == "OUTCOME_UNKNOWN", "{case}");
            assert_eq!(read_all(&serve(&world), "s"), b"other", "{case}");
        }
    }
}

#[test]
fn with_failing_operations_no_two_creators_win_and_no_acknowledged_body_is_lost() {
    for quirk in Quirk::ALL {
        let (mut won, mut kept, mut unknown) = (0, 0, 0);
        for seed in 0..60 {
            let world = World::new(quirk, seed);
            world.set_faults(Faults {
                before: 15,
                after: 15,
                late: 30,
                full: 10,
                refused: 10,
            });
            let responses = compete(&world);
            let winners = winners(&responses);
            assert!(winners.len() <= 1, "{quirk:?} seed {seed}: {responses:?}");
            let server = serve(&world);
            let read = call(&server, ask("GET", "s"));
            won += winners.len();
            if read.status == 404 {
                assert!(winners.is_empty(), "{quirk:?} seed {seed}: {responses:?}");
                let again = call(&server, put("<x>"));
                assert_eq!(again.status, 201, "{quirk:?} seed {seed}: {again:?}");
                continue;
            }
            kept += 1;
            let body = read.text().to_owned();
            if let [winner] = winners[..] {
                assert_eq!(body, format!("<{winner}>"), "{quirk:?} seed {seed}");
            }
            for (place, response) in responses.iter().enumerate() {
                let code = response.code();
                unknown += usize::from(code == "OUTCOME_UNKNOWN");
                if matches!(&*code, "UNAVAILABLE" | "INSUFFICIENT_STORAGE") {
                    assert_ne!(body, format!("<{place}>"), "{quirk:?} seed {seed}");
                }
            }
        }
        println!("{quirk:?} with faults, 60 rounds: {won} won, {kept} streams, {unknown} unknown");
    }
}

/// One creator takes over from another that vanished; the test measures its longest wait.
#[test]
fn a_creator_that_vanishes_leaves_the_name_to_another_within_its_patience() {
    for quirk in Quirk::ALL {
        for registry in ["true", "false"] {
            let mut longest = 0;
            for life in 0.. {
                let world = World::new(quirk, life);
                world.variable("registry", registry);
                world.variable("inline_tail_bytes", "0");
                let doomed = Service::new(world.instance().crashing_after(life));
                call(&doomed, put("doomed"));
                let crashed = doomed.env().is_dead();
                let began = world.now_ms();
                let server = serve(&world);
                let response = call(&server, put("second"));
                longest = longest.max(world.now_ms() - began);
                let body = read_all(&server, "s");
                match response.status {
                    201 => assert_eq!(body, b"second", "{quirk:?} after {life} operations"),
                    200 => assert_eq!(body, b"doomed", "{quirk:?} after {life} operations"),
                    _ => panic!("{quirk:?} after {life} operations: {response:?}"),
                }
                if !crashed {
                    assert_eq!(response.status, 200);
                    break;
                }
            }
            println!("{quirk:?} registry {registry}: the longest wait was {longest} ms");
            assert!(longest <= 21_000, "{quirk:?}: {longest}");
        }
    }
}

#[test]
fn three_creators_in_a_row_vanish_and_the_fourth_creates_the_name() {
    for quirk in [Quirk::Plain, Quirk::SpinSqlite, Quirk::SpinRedis] {
        for seed in 0..150 {
            let world = World::new(quirk, seed);
            world.variable("registry", "false");
            for _ in 0..3 {
                let life = world.random() % 30;
                let doomed = Service::new(world.instance().crashing_after(life));
                call(&doomed, put("doomed"));
            }
            let server = serve(&world);
            let response = call(&server, put("last"));
            assert!(response.is_ok(), "{quirk:?} seed {seed}: {response:?}");
            let expected = if response.status == 201 {
                "last"
            } else {
                "doomed"
            };
            assert_eq!(read_all(&server, "s"), expected.as_bytes());
        }
    }
}

#[test]
fn an_unconfirmed_stream_is_a_404_to_other_clients() {
    for life in 0.. {
        let world = World::new(Quirk::SpinSqlite, life);
        let doomed = Service::new(world.instance().crashing_after(life));
        call(&doomed, put("doomed"));
        let server = serve(&world);
        let get = call(&server, ask("GET", "s")).status;
        for request in [
            ask("HEAD", "s"),
            ask("POST", "s").content_type("text/plain").body("x"),
            ask("DELETE", "s"),
        ] {
            let status = call(&server, request).status;
            assert_eq!(status == 404, get == 404, "after {life} operations");
        }
        if !doomed.env().is_dead() {
            assert_eq!(get, 200);
            break;
        }
    }
}

/// Each creator that gave up an earlier one began at the first gate again. Its request ended before
/// it reached the last gate, so the name was lost.
#[test]
fn a_name_with_many_creators_that_vanished_is_reached_in_one_patience() {
    for quirk in [Quirk::Plain, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let world = World::new(quirk, 1);
        world.variable("registry", "false");
        for _ in 0..6 {
            // Each creator vanishes as soon as it is elected.
            let elected = Arc::new(AtomicBool::new(false));
            let doomed = world.instance().dying_once(elected.clone());
            let mut before: Option<String> = None;
            let watched = world.clone();
            let doomed = doomed.with_hook(Box::new(move |_, op, key| {
                if let Some(gate) = before.take()
                    && watched.count(&gate) == 1
                {
                    elected.store(true, Ordering::Relaxed);
                }
                before = (op == Op::Increment).then(|| key.to_owned());
            }));
            call(&Service::new(doomed), put("doomed"));
        }
        let began = world.now_ms();
        let server = serve(&world);
        assert_eq!(call(&server, put("last")).status, 201, "{quirk:?}");
        assert!(world.now_ms() - began < 12_000);
        assert_eq!(read_all(&server, "s"), b"last");
    }
}

#[test]
fn a_creator_that_waits_writes_nothing_meanwhile() {
    let world = World::new(Quirk::SpinSqlite, 1);
    world.variable("registry", "false");
    // Elected, and crashed: two operations for the marker, the two looks, the gate.
    let doomed = Service::new(world.instance().crashing_after(7));
    call(&doomed, put("doomed"));
    let key = world.keys().into_iter().find(|key| key.starts_with("g.s."));
    let gate = key.unwrap();
    assert_eq!(world.count(&gate), 1);
    assert_eq!(call(&serve(&world), put("second")).status, 201);
    assert_eq!(world.count(&gate), 2);
}

/// The first swap of a creation was still under way when its second met a full store. The caller
/// got the answer that nothing was applied, and the chunks were removed. Then the first swap
/// arrived.
#[test]
fn a_creation_under_way_that_meets_a_full_store_is_unknown_and_keeps_its_chunks() {
    for quirk in Quirk::ALL {
        let world = World::new(quirk, 1);
        world.variable("registry", "false");
        world.variable("inline_tail_bytes", "0");
        let faulty = world.clone();
        let mut swaps = 0;
        let env = world.instance().with_hook(Box::new(move |_, op, key| {
            let head = op == Op::Swap && key.starts_with("s.");
            swaps += u32::from(head);
            faulty.set_faults(match (head, swaps) {
                (true, 1) => Faults {
                    late: 1000,
                    ..Faults::default()
                },
                (true, 2) => Faults {
                    full: 1000,
                    refused: 0,
                    ..Faults::default()
                },
                _ => Faults::default(),
            });
        }));
        let response = call(&Service::new(env), put("mine"));
        world.set_faults(Faults::default());
        world.land_late();
        let server = serve(&world);
        let read = call(&server, ask("GET", "s"));
        match response.status {
            503 => assert_eq!(response.code(), "OUTCOME_UNKNOWN", "{quirk:?}"),
            507 => assert_eq!(read.status, 404, "{quirk:?}: {response:?}"),
            _ => assert_eq!(response.status, 201, "{quirk:?}: {response:?}"),
        }
        if read.status == 200 {
            assert_eq!(read_all(&server, "s"), b"mine", "{quirk:?}");
        }
    }
}

/// A creator with a swap that was applied, but not confirmed, got the tail of the head that it
/// found later. A reader that goes on from there would have missed the appends made meanwhile.
#[test]
fn a_creator_that_finds_its_stream_gets_the_tail_of_its_own_body() {
    for quirk in Quirk::ALL {
        for again in [false, true] {
            let world = World::new(quirk, 1);
            world.variable("registry", "false");
            let server = serve(&world);
            let first = if again { 1 } else { 0 };
            if again {
                call(&server, put("before"));
                call(&server, ask("DELETE", "s"));
            }
            let (faulty, other) = (world.clone(), serve(&world));
            let mut met = false;
            let env = world.instance().with_hook(Box::new(move |_, op, key| {
                let head = op != Op::Swap && key.starts_with("s.");
                if head && !met && faulty.peek(key).is_some() {
                    let append = ask("POST", "s").content_type("text/plain").body("more");
                    met = call(&other, append).status == 204;
                }
                let swaps = op == Op::Swap && key.starts_with("s.");
                faulty.set_faults(Faults {
                    after: if swaps { 1000 } else { 0 },
                    ..Faults::default()
                });
            }));
            let response = call(&Service::new(env), put("mine"));
            world.set_faults(Faults::default());
            assert_eq!(response.status, 201, "{quirk:?}: {response:?}");
            assert_eq!(read_all(&server, "s"), b"minemore", "{quirk:?}");
            let own = format!("{first:016}_{:016}", 40);
            assert_eq!(response.offset(), own, "{quirk:?}");
        }
    }
}

/// Only waits count towards a creator's patience. On a slow store, one request after the other
/// ended before it had waited for long enough, and no creator ever took over.
#[test]
fn a_creator_that_vanished_is_given_up_also_where_the_store_is_slow() {
    for registry in ["true", "false"] {
        for life in 0.. {
            let world = World::new(Quirk::SpinRedis, 1000 + life);
            world.variable("registry", registry);
            world.variable("commit_deadline_ms", "300");
            let doomed = Service::new(world.instance().crashing_after(life));
            call(&doomed, put("doomed"));
            world.set_op_us(25_000);
            let response = call(&serve(&world), put("second"));
            assert!(response.is_ok(), "after {life} operations: {response:?}");
            if !doomed.env().is_dead() {
                break;
            }
        }
    }
}
