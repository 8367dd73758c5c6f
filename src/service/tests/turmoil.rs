//! Everything at once: producers, readers, deletions, creations and workers on a few names, over
//! quirky stores with faults, checked against the acknowledged writes.

use super::driver::{Server, ask, call, call_in_turn, read_all, serve};
use super::schedule::Baton;
use super::world::{Faults, Quirk, World};
use crate::service::Service;
use std::sync::Arc;

const FAULTS: Faults = Faults {
    before: 10,
    after: 10,
    late: 20,
    full: 10,
    refused: 10,
};

/// Works until nothing is left to do, ten minutes later too.
fn clean_up(world: &Arc<World>) {
    let server = serve(world);
    for _ in 0..25 {
        world.advance(60_000);
        for round in 0..400 {
            server.work(round);
        }
    }
}

/// Keys of chunks, blocks and debts.
fn owned(world: &Arc<World>) -> Vec<String> {
    let mut keys = world.keys();
    keys.retain(|key| ["c.", "i.", "d."].iter().any(|kind| key.starts_with(kind)));
    keys
}

/// Retries as a producer does until the append gets a final answer.
fn append_until_done(server: &Server, baton: &Baton, place: usize, seq: u64, body: &str) -> bool {
    for _ in 0..50 {
        let append = ask("POST", "s")
            .content_type("text/plain")
            .body(body)
            .producer(&format!("p{place}"), 0, seq);
        let response = call_in_turn(server, baton, place, append);
        match response.status {
            200 | 204 => return true,
            503 | 507 => baton.sleep(place, 20),
            _ => panic!("{response:?}"),
        }
    }
    false
}

#[test]
fn producers_that_retry_failed_appends_leave_each_append_once_and_in_order() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        for seed in 0..6 {
            let world = World::new(quirk, seed);
            world.variable("inline_tail_bytes", ["0", "30", "16384"][seed as usize % 3]);
            call(&serve(&world), ask("PUT", "s").content_type("text/plain"));
            world.set_faults(FAULTS);
            world.set_op_us(200);
            let done = Baton::run(&world, 6, |baton, place| {
                let env = world.instance().taking_turns(baton.clone(), place);
                let server = Service::new(env);
                (0..25).all(|seq| {
                    append_until_done(&server, &baton, place, seq, &format!("<{place}:{seq}>"))
                })
            });
            world.set_faults(Faults::default());
            world.land_late();
            assert!(done.iter().all(|done| *done));
            let text = String::from_utf8(read_all(&serve(&world), "s")).unwrap();
            for place in 0..6 {
                let begin = format!("<{place}:");
                let own: String = text
                    .split_inclusive('>')
                    .filter(|body| body.starts_with(&begin))
                    .collect();
                let expected: String = (0..25).map(|seq| format!("<{place}:{seq}>")).collect();
                assert_eq!(own, expected, "{quirk:?} seed {seed}");
            }
        }
    }
}

#[test]
fn successive_lives_of_a_name_never_mix() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let (mut created, mut leaked) = (0, 0);
        for seed in 0..15 {
            let world = World::new(quirk, seed);
            world.variable("inline_tail_bytes", "0");
            world.set_faults(FAULTS);
            world.set_op_us(200);
            let won = Baton::run(&world, 6, |baton, place| {
                let env = world.instance().taking_turns(baton.clone(), place);
                let server = Service::new(env);
                let mut won = 0;
                for n in 0..12 {
                    let send = |request| call_in_turn(&server, &baton, place, request);
                    match place {
                        // Two creators; each life has a mark of its own.
                        0 | 1 => {
                            let body = format!("({place}.{n})");
                            let create = ask("PUT", "s").content_type("text/plain").body(body);
                            won += u32::from(send(create).status == 201);
                        }
                        2 | 3 => {
                            let body = format!("<{place}.{n}>");
                            send(ask("POST", "s").content_type("text/plain").body(body));
                        }
                        4 => drop(send(ask("DELETE", "s"))),
                        _ => {
                            let read = send(ask("GET", "s"));
                            let text = read.text();
                            if read.status == 200 && !read.reset {
                                // One life has one beginning.
                                assert!(text.starts_with('('), "{text}");
                                assert_eq!(text.matches('(').count(), 1, "{text}");
                            }
                            server.work(n);
                        }
                    }
                    baton.sleep(place, 5);
                }
                won
            });
            world.set_faults(Faults::default());
            world.land_late();
            created += won.iter().sum::<u32>();
            let server = serve(&world);
            call(&server, ask("DELETE", "s"));
            assert_eq!(call(&server, ask("GET", "s")).status, 404);
            clean_up(&world);
            leaked += owned(&world).len();
            // The name is free, and begins anew.
            let create = ask("PUT", "s").content_type("text/plain").body("(end)");
            assert_eq!(call(&server, create).status, 201, "{quirk:?} seed {seed}");
            assert_eq!(read_all(&server, "s"), b"(end)");
        }
        assert!(created > 0, "{quirk:?}: no life began");
        println!("{quirk:?}, 15 seeds: {created} lives, {leaked} keys left for the offline check");
    }
}

#[test]
fn without_faults_nothing_is_left_of_lives_that_ended() {
    for quirk in [
        Quirk::Guarded,
        Quirk::Plain,
        Quirk::SpinSqlite,
        Quirk::SpinRedis,
    ] {
        for seed in 0..15 {
            let world = World::new(quirk, seed);
            world.variable("inline_tail_bytes", "0");
            world.set_op_us(200);
            let unknown = Baton::run(&world, 5, |baton, place| {
                let env = world.instance().taking_turns(baton.clone(), place);
                let server = Service::new(env);
                let mut unsure = 0;
                for n in 0..10 {
                    let request = match place {
                        0 | 1 => ask("PUT", "s").content_type("text/plain").body("x"),
                        2 | 3 => ask("POST", "s").content_type("text/plain").body("y"),
                        _ => ask("DELETE", "s"),
                    };
                    let response = call_in_turn(&server, &baton, place, request);
                    // A request that meets a deletion with a swap under way may not know which came
                    // first.
                    let unknown = place < 4 && response.code() == "OUTCOME_UNKNOWN";
                    assert!(
                        response.status < 500 || unknown,
                        "{quirk:?} {seed}: {response:?}"
                    );
                    unsure += usize::from(unknown);
                    if place == 4 {
                        // Several workers at one entry.
                        server.work(n);
                    }
                }
                unsure
            });
            let server = serve(&world);
            call(&server, ask("DELETE", "s"));
            clean_up(&world);
            let left = owned(&world);
            let chunks = left.iter().filter(|key| key.starts_with("c.")).count();
            // Only the chunk of an append with an unknown outcome stays.
            let unknown: usize = unknown.iter().sum();
            assert!(
                left.len() == chunks && chunks <= unknown,
                "{quirk:?} {seed}: {left:?}"
            );
        }
    }
}
