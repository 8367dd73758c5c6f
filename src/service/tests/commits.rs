//! Competing appends, and appends with a writer that crashes or a store that fails.

use super::driver::{Ask, Response, ask, call, call_in_turn, read_all, serve};
use super::schedule::Baton;
use super::world::{Faults, Op, Quirk, World};
use crate::service::Service;
use std::collections::BTreeMap;

const WRITERS: usize = 64;

/// Outcomes of appends, and how often each of their bodies is in the stream.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    unavailable: usize,
    full: usize,
    unknown: usize,
    unknown_but_there: usize,
}

impl Tally {
    fn add(&mut self, response: &Response, times: usize) {
        match (response.status, &*response.code()) {
            (200..=299, _) => {
                assert_eq!(times, 1, "acknowledged: {response:?}");
                self.done += 1;
            }
            (503, "UNAVAILABLE") => {
                assert_eq!(times, 0, "refused: {response:?}");
                assert_eq!(response.get("retry-after"), "1");
                self.unavailable += 1;
            }
            (507, "INSUFFICIENT_STORAGE") => {
                assert_eq!(times, 0, "no room: {response:?}");
                self.full += 1;
            }
            (503, "OUTCOME_UNKNOWN") => {
                assert!(times <= 1, "unknown: {response:?}");
                assert_eq!(response.get("retry-after"), "");
                self.unknown += 1;
                self.unknown_but_there += times;
            }
            _ => panic!("{response:?}"),
        }
    }
}

/// `WRITERS` appends at the same time, each by an instance of its own.
fn compete(quirk: Quirk, seed: u64, faults: Faults, inline: &str) -> Tally {
    let world = World::new(quirk, seed);
    world.variable("inline_tail_bytes", inline);
    let first = serve(&world);
    let created = call(&first, ask("PUT", "s").content_type("text/plain"));
    assert_eq!(created.status, 201);
    world.set_faults(faults);
    world.set_op_us(400);
    let responses = Baton::run(&world, WRITERS, |baton, place| {
        let env = world.instance().taking_turns(baton.clone(), place);
        let server = Service::new(env);
        let body = format!("<{place}>");
        let append = ask("POST", "s").content_type("text/plain").body(body);
        call_in_turn(&server, &baton, place, append)
    });
    world.set_faults(Faults::default());
    world.land_late();
    let text = String::from_utf8(read_all(&serve(&world), "s")).unwrap();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for body in text.split_inclusive('>') {
        *times.entry(body.to_owned()).or_default() += 1;
    }
    let mut tally = Tally::default();
    for (place, response) in responses.iter().enumerate() {
        let body = format!("<{place}>");
        tally.add(response, times.get(&body).copied().unwrap_or_default());
    }
    tally
}

#[test]
fn of_64_concurrent_appends_every_acknowledged_one_is_there_once() {
    for quirk in [
        Quirk::Guarded,
        Quirk::Plain,
        Quirk::SpinSqlite,
        Quirk::SpinRedis,
    ] {
        for (seed, inline) in [(1, "16384"), (2, "16384"), (3, "0"), (4, "20")] {
            let tally = compete(quirk, seed, Faults::default(), inline);
            println!("{quirk:?} seed {seed} inline {inline}: {tally:?}");
            assert!(tally.done >= 60, "{quirk:?} {seed}: {tally:?}");
        }
    }
}

#[test]
fn with_failing_operations_no_append_is_lost_or_doubled() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let mut sum = Tally::default();
        for seed in 0..12 {
            let faults = Faults {
                before: 20,
                after: 20,
                late: 20,
                full: 10,
                refused: 10,
            };
            let inline = ["0", "30", "16384"][usize::try_from(seed % 3).unwrap()];
            let tally = compete(quirk, seed, faults, inline);
            sum.done += tally.done;
            sum.unavailable += tally.unavailable;
            sum.full += tally.full;
            sum.unknown += tally.unknown;
            sum.unknown_but_there += tally.unknown_but_there;
        }
        println!("{quirk:?} with faults, 12 seeds: {sum:?}");
        assert!(sum.done > 0 && sum.unavailable > 0 && sum.full > 0);
    }
}

/// Appends that each seal a segment and, now and then, write an index block. The writer crashes
/// after each of its operations; then the same producer retries.
#[test]
fn an_append_of_a_crashed_writer_is_there_once_after_its_retry() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        for before in [0_u64, 64] {
            for life in 0.. {
                let world = World::new(quirk, life);
                world.variable("inline_tail_bytes", "0");
                let server = serve(&world);
                call(&server, ask("PUT", "s").content_type("text/plain"));
                let append = |seq: u64| {
                    ask("POST", "s")
                        .content_type("text/plain")
                        .body(format!("<{seq}>"))
                        .producer("p", 0, seq)
                };
                for seq in 0..before {
                    assert_eq!(call(&server, append(seq)).status, 200);
                }
                let doomed = Service::new(world.instance().crashing_after(life));
                let response = call(&doomed, append(before));
                let crashed = doomed.env().is_dead();
                // A reader meanwhile sees all of it or nothing.
                let seen = read_all(&server, "s");
                let retried = call(&serve(&world), append(before));
                assert!(matches!(retried.status, 200 | 204), "{retried:?}");
                let expected: String = (0..=before).map(|seq| format!("<{seq}>")).collect();
                let text = String::from_utf8(read_all(&server, "s")).unwrap();
                assert_eq!(text, expected, "{quirk:?} after {life} operations");
                assert!(seen == text.as_bytes() || retried.status == 200);
                if !crashed {
                    assert_eq!((response.status, retried.status), (200, 204));
                    break;
                }
            }
        }
    }
}

#[test]
fn appends_that_wait_together_are_committed_in_one_swap() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    call(&server, ask("PUT", "s").content_type("text/plain"));
    let before = world.writes();
    let asks: Vec<_> = (0..20)
        .map(|n| {
            ask("POST", "s")
                .content_type("text/plain")
                .body(format!("<{n}>"))
        })
        .collect();
    let requests: Vec<_> = asks.iter().map(Ask::raw).collect();
    let answers = server.start(&requests, None);
    assert_eq!(world.writes() - before, 1);
    let offsets: Vec<String> = answers
        .iter()
        .map(|answer| {
            let head = answer.head.as_ref().unwrap();
            assert_eq!(head.status, 204);
            String::from_utf8(head.get("stream-next-offset").unwrap().to_vec()).unwrap()
        })
        .collect();
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    let expected: String = (0..20).map(|n| format!("<{n}>")).collect();
    assert_eq!(read_all(&server, "s"), expected.as_bytes());
}

#[test]
fn one_small_append_is_one_read_and_one_write() {
    for quirk in [Quirk::Guarded, Quirk::Plain] {
        let world = World::new(quirk, 1);
        let server = serve(&world);
        call(&server, ask("PUT", "s").content_type("text/plain"));
        let (ops, writes) = (server.env().ops(), world.writes());
        let append = ask("POST", "s").content_type("text/plain").body("x");
        assert_eq!(call(&server, append).status, 204);
        assert_eq!(world.writes() - writes, 1);
        // The handle, its value and the swap.
        assert_eq!(server.env().ops() - ops, 3);
    }
}

/// A writer gets an error for its swap, and reads the head again only after `others` more commits.
/// `applied`: the swap was applied. Returns its answer and how often its body is in the stream.
fn reread_late(quirk: Quirk, others: u64, applied: bool) -> (Response, usize) {
    let world = World::new(quirk, others);
    let server = serve(&world);
    call(&server, ask("PUT", "s").content_type("text/plain"));
    let append = |body: &str| ask("POST", "s").content_type("text/plain").body(body);
    let other = serve(&world);
    let faulty = world.clone();
    let mut step = 0;
    let env = world.instance().with_hook(Box::new(move |_, op, _| {
        if op == Op::Swap && step == 0 {
            faulty.set_faults(Faults {
                before: if applied { 0 } else { 1000 },
                after: 1000,
                late: 0,
                full: 0,
                refused: 0,
            });
            step = 1;
        } else if step == 1 {
            faulty.set_faults(Faults::default());
            for _ in 0..others {
                assert_eq!(call(&other, append("-")).status, 204);
            }
            step = 2;
        }
    }));
    let response = call(&Service::new(env), append("X"));
    let text = String::from_utf8(read_all(&server, "s")).unwrap();
    (response, text.matches('X').count())
}

#[test]
fn a_commit_is_recognised_while_its_stream_remembers_it_and_unknown_beyond() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        // Where instances share nothing, the ring of a stream has more commits.
        let size = if quirk == Quirk::Guarded { 64 } else { 512 };
        for (others, applied) in [(0, true), (size - 1, true), (size, true), (size + 36, true)] {
            let (response, times) = reread_late(quirk, others, applied);
            let known = others < size;
            let expected = if known { "" } else { "OUTCOME_UNKNOWN" };
            assert_eq!(response.code(), expected, "{quirk:?} {others}");
            assert_eq!((response.is_ok(), times), (known, 1));
        }
        for (others, applied) in [(0, false), (size, false), (size + 1, false)] {
            let (response, times) = reread_late(quirk, others, applied);
            let known = others <= size;
            assert_eq!(response.is_ok(), known, "{quirk:?} {others}");
            assert_eq!(times, usize::from(known));
        }
    }
}

/// Over `wasi:http`, a writer that lost its processor between read and swap missed more commits than
/// the ring holds. It got an unknown outcome, though the store had said that its swap failed.
#[test]
fn a_failed_swap_has_a_known_outcome_where_failures_are_certain() {
    for (inline, sure) in [("16384", true), ("0", true), ("0", false)] {
        let world = World::new(Quirk::Guarded, 1);
        world.variable("inline_tail_bytes", inline);
        world.variable("kv_final_swaps", &sure.to_string());
        let server = serve(&world);
        call(&server, ask("PUT", "s").content_type("text/plain"));
        let append = |body: &str| ask("POST", "s").content_type("text/plain").body(body);
        let mut other = Some(serve(&world));
        let env = world.instance().with_hook(Box::new(move |_, op, _| {
            if op == Op::Swap
                && let Some(other) = other.take()
            {
                for _ in 0..200 {
                    assert_eq!(call(&other, append("-")).status, 204);
                }
            }
        }));
        let done = call(&Service::new(env), append("X"));
        let expected = if sure { "" } else { "OUTCOME_UNKNOWN" };
        assert_eq!(done.code(), expected);
        let text = String::from_utf8(read_all(&server, "s")).unwrap();
        assert_eq!(text.matches('X').count(), usize::from(sure));
    }
}

/// An append that met a deletion got an unknown outcome, though the deletion had replaced the very
/// head that the append was built on.
#[test]
fn an_append_that_a_deletion_overtakes_is_a_404_and_leaves_nothing() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let world = World::new(quirk, 1);
        world.variable("inline_tail_bytes", "0");
        world.variable("registry", "false");
        let server = serve(&world);
        call(&server, ask("PUT", "s").content_type("text/plain"));
        let mut deleter = Some(serve(&world));
        let env = world.instance().with_hook(Box::new(move |_, op, _| {
            if op == Op::Swap
                && let Some(deleter) = deleter.take()
            {
                assert_eq!(call(&deleter, ask("DELETE", "s")).status, 204);
            }
        }));
        let append = ask("POST", "s").content_type("text/plain").body("x");
        assert_eq!(call(&Service::new(env), append).status, 404, "{quirk:?}");
        assert!(!world.keys().iter().any(|key| key.starts_with("c.")));
    }
}

#[test]
fn one_seed_is_one_history() {
    let faults = Faults {
        before: 20,
        after: 20,
        late: 20,
        full: 10,
        refused: 10,
    };
    for quirk in [Quirk::Guarded, Quirk::SpinRedis] {
        let run = || format!("{:?}", compete(quirk, 9, faults, "30"));
        assert_eq!(run(), run());
    }
}

/// Touches raise the version and stay out of the ring. A writer that a touch overtakes knows that
/// its swap was lost, and tries again.
#[test]
fn a_touch_between_read_and_swap_costs_a_writer_one_more_try() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let create = ask("PUT", "s")
        .content_type("text/plain")
        .header("stream-ttl", 10);
    call(&server, create);
    world.advance(2_000);
    let mut reader = Some(serve(&world));
    let env = world.instance().with_hook(Box::new(move |_, op, _| {
        if op == Op::Swap
            && let Some(reader) = reader.take()
        {
            assert_eq!(call(&reader, ask("GET", "s")).status, 200);
        }
    }));
    let append = ask("POST", "s").content_type("text/plain").body("x");
    assert_eq!(call(&Service::new(env), append).status, 204);
    assert_eq!(read_all(&server, "s"), b"x");
}

/// The service took the append for one that may have been applied. It sent the append again for
/// five seconds, and then reported an unknown outcome.
#[test]
fn an_append_that_the_store_refuses_is_unavailable_at_once() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let world = World::new(quirk, 1);
        let server = serve(&world);
        let create = ask("PUT", "s").content_type("text/plain");
        assert_eq!(call(&server, create).status, 201);
        world.set_faults(Faults {
            refused: 1000,
            ..Faults::default()
        });
        let before = world.now_ms();
        let append = ask("POST", "s").content_type("text/plain").body("x");
        let refused = call(&server, append);
        assert_eq!((refused.status, &*refused.code()), (503, "UNAVAILABLE"));
        assert!(world.now_ms() - before < 100, "{quirk:?}");
        world.set_faults(Faults::default());
        assert_eq!(read_all(&server, "s"), b"");
    }
}

/// On Spin all operations wait for the unfair lock of one connection to SQLite. More than 64
/// commits passed while a swap waited there, and one append in eleven got an unknown outcome.
#[test]
fn a_hot_stream_behind_one_lock_has_no_unknown_outcome() {
    const APPENDS: usize = 20;
    for quirk in [Quirk::Plain, Quirk::SpinSqlite, Quirk::SpinRedis] {
        let world = World::new(quirk, 5);
        let created = call(&serve(&world), ask("PUT", "s").content_type("text/plain"));
        assert_eq!(created.status, 201);
        // A swap on a disk that syncs takes about a millisecond.
        world.set_op_us(200);
        let all = Baton::run_unfairly(&world, WRITERS, |baton, place| {
            let append = |number: usize| {
                // Spin starts an instance for each request.
                let env = world.instance().taking_turns(baton.clone(), place);
                let body = format!("<{place}.{number}>");
                let append = ask("POST", "s").content_type("text/plain").body(body);
                call_in_turn(&Service::new(env), &baton, place, append)
            };
            (0..APPENDS).map(append).collect::<Vec<_>>()
        });
        let mut codes: BTreeMap<(u16, String), usize> = BTreeMap::new();
        for response in all.iter().flatten() {
            *codes.entry((response.status, response.code())).or_default() += 1;
        }
        println!("{quirk:?}: {codes:?}");
        let unknown = codes.get(&(503, "OUTCOME_UNKNOWN".to_owned()));
        assert_eq!(unknown, None, "{quirk:?}: {codes:?}");
        let text = String::from_utf8(read_all(&serve(&world), "s")).unwrap();
        let done = codes.get(&(204, String::new())).copied().unwrap_or(0);
        assert_eq!(text.split_inclusive('>').count(), done, "{quirk:?}");
    }
}
