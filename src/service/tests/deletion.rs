//! Deletion and expiry, with crashes between any two operations.

use super::driver::{Server, ask, call, read_all, serve};
use super::world::{Quirk, World};
use crate::service::Service;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) const QUIRKS: [Quirk; 3] = [Quirk::Guarded, Quirk::SpinSqlite, Quirk::SpinRedis];

/// Amount of data that a stream owns.
#[derive(Debug, Clone, Copy)]
enum Size {
    Inline,
    Chunks,
    Blocks,
}

/// A stream `s` that owns data of each kind that `size` names.
fn fill(world: &Arc<World>, size: Size) -> Server {
    if !matches!(size, Size::Inline) {
        world.variable("inline_tail_bytes", "0");
    }
    let server = serve(world);
    let created = call(&server, ask("PUT", "s").content_type("text/plain"));
    assert_eq!(created.status, 201);
    let appends = match size {
        Size::Inline | Size::Chunks => 5,
        Size::Blocks => 64 * 3 + 5,
    };
    for n in 0..appends {
        let append = ask("POST", "s")
            .content_type("text/plain")
            .body(format!("<{n}>"));
        assert_eq!(call(&server, append).status, 204);
    }
    server
}

/// Works until nothing is left to do, without moving the clock.
pub(super) fn work_all(server: &Server) {
    let mut idle = 0;
    for round in 0..20_000 {
        idle = if server.work(round).worked {
            0
        } else {
            idle + 1
        };
        if idle > 64 {
            return;
        }
    }
    panic!("there is always something to do");
}

/// The keys that a deleted stream must not leave.
pub(super) fn left(world: &Arc<World>) -> Vec<String> {
    let kept = |key: &&String| {
        let first = key.split('.').next().unwrap_or_default();
        !matches!(first, "g" | "m" | "s" | "t" | "n")
    };
    let mut left: Vec<String> = world.keys().iter().filter(kept).cloned().collect();
    for key in world.keys() {
        let Some(bytes) = world.peek(&key) else {
            continue;
        };
        let Ok(envelope) = crate::keys::Envelope::decode(&bytes) else {
            continue;
        };
        let empty = match key.split('.').next() {
            Some("t") => crate::keys::todo::decode(&envelope.body)
                .unwrap()
                .is_empty(),
            Some("n") => {
                let leaf = crate::keys::registry::decode(&envelope.body).unwrap();
                leaf.entries.is_empty()
            }
            Some("s") if !envelope.body.is_empty() => matches!(
                crate::keys::head::Record::decode(&envelope.body, envelope.version).unwrap(),
                crate::keys::head::Record::Tombstone(tombstone)
                    if tombstone.owes.is_none() && tombstone.source.is_none()
            ),
            _ => true,
        };
        if !empty {
            left.push(key);
        }
    }
    left
}

#[test]
fn a_deletion_that_stops_anywhere_is_ended_by_another_instance() {
    for quirk in QUIRKS {
        for size in [Size::Inline, Size::Chunks, Size::Blocks] {
            for life in 0.. {
                let world = World::new(quirk, life);
                let server = fill(&world, size);
                let doomed = Service::new(world.instance().crashing_after(life));
                let response = call(&doomed, ask("DELETE", "s"));
                let crashed = doomed.env().is_dead();
                let other = serve(&world);
                if call(&other, ask("GET", "s")).status == 200 {
                    // The deletion stopped before its swap: nothing happened, and a second one
                    // works.
                    assert!(crashed);
                    let again = call(&other, ask("DELETE", "s"));
                    assert_eq!(again.status, 204, "{quirk:?} {size:?} {life}: {again:?}");
                }
                work_all(&other);
                let left = left(&world);
                assert!(left.is_empty(), "{quirk:?} {size:?} {life}: {left:?}");
                assert_eq!(call(&server, ask("GET", "s")).status, 404);
                if !crashed {
                    assert_eq!(response.status, 204);
                    println!("{quirk:?} {size:?}: a deletion takes {life} operations");
                    break;
                }
            }
        }
    }
}

/// A deletion that stopped between its to-do entry and its swap.
fn stopped(quirk: Quirk) -> (Arc<World>, Server) {
    for life in 0.. {
        let world = World::new(quirk, life);
        world.variable("registry", "false");
        let server = fill(&world, Size::Chunks);
        let doomed = Service::new(world.instance().crashing_after(life));
        call(&doomed, ask("DELETE", "s"));
        if left(&world).iter().any(|key| key.starts_with("t.")) {
            assert_eq!(call(&server, ask("GET", "s")).status, 200);
            return (world, server);
        }
    }
    unreachable!("a deletion notes the data that it leaves");
}

/// A worker with a clock ahead took the entry for old, and removed it. The next deletion had found
/// the entry, and relied on it. If that deletion was stopped, its data was never removed.
#[test]
fn a_worker_that_takes_a_deletion_for_abandoned_keeps_the_entry_of_the_next_one() {
    const AHEAD_MS: i64 = 3_600_000;
    let round = u64::from(crate::keys::NameHash::of("s").shard());
    for quirk in QUIRKS {
        for pause in 0.. {
            let (mut over, mut ended) = (false, false);
            for life in 0.. {
                let (world, server) = stopped(quirk);
                let next = Arc::clone(&world);
                let (mut stop, crashed) = (Some(()), Arc::new(AtomicBool::new(false)));
                let flag = Arc::clone(&crashed);
                let slow = world.instance().with_hook(Box::new(move |ops, _, _| {
                    if ops == pause && stop.take().is_some() {
                        let doomed = Service::new(next.instance().crashing_after(life));
                        next.by_a_clock_off(-AHEAD_MS, || {
                            call(&doomed, ask("DELETE", "s"));
                        });
                        flag.store(doomed.env().is_dead(), Ordering::Relaxed);
                    }
                }));
                let slow = Service::new(slow);
                world.by_a_clock_off(AHEAD_MS, || {
                    slow.work(round);
                });
                over |= slow.env().ops() <= pause;
                for _ in 0..3 {
                    work_all(&server);
                    world.advance(660_000);
                }
                if call(&server, ask("GET", "s")).status == 200 {
                    assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
                    work_all(&server);
                }
                let left = left(&world);
                assert!(left.is_empty(), "{quirk:?} at {pause}, {life}: {left:?}");
                if !crashed.load(Ordering::Relaxed) {
                    break;
                }
                ended = true;
            }
            if over {
                break;
            }
            assert!(ended, "{quirk:?}: no deletion was stopped");
        }
    }
}

#[test]
fn workers_that_crash_anywhere_leave_the_rest_to_others() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 5);
        let server = fill(&world, Size::Blocks);
        assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
        for round in 0..3_000 {
            let life = world.random() % 40;
            let doomed = Service::new(world.instance().crashing_after(life));
            doomed.work(round);
        }
        work_all(&server);
        let left = left(&world);
        assert!(left.is_empty(), "{quirk:?}: {left:?}");
    }
}

#[test]
fn a_stream_recreated_while_its_last_life_is_removed_keeps_its_own_data() {
    for quirk in QUIRKS {
        for rounds in 0..20 {
            let world = World::new(quirk, rounds);
            let server = fill(&world, Size::Blocks);
            let tail = call(&server, ask("HEAD", "s")).offset().to_owned();
            assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
            for round in 0..rounds * 4 {
                server.work(round);
            }
            let body = "new ".repeat(300_000 / 4);
            let create = ask("PUT", "s").content_type("text/plain").body(&body);
            assert_eq!(call(&server, create).status, 201);
            let append = ask("POST", "s").content_type("text/plain").body("end");
            let appended = call(&server, append);
            assert!(*appended.offset() > *tail, "{} {tail}", appended.offset());
            work_all(&server);
            assert_eq!(read_all(&server, "s"), format!("{body}end").as_bytes());
            let gone = call(&server, ask("GET", &format!("s?offset={tail}")));
            assert_eq!((gone.status, &*gone.code()), (410, "OFFSET_GONE"));
        }
    }
}

#[test]
fn an_append_that_stopped_before_its_swap_leaves_no_index_block_behind_a_deletion() {
    // An index block is written before the swap that forgets its entries. If that swap never came,
    // no head names the block, and the deletion must still find it.
    for life in 0.. {
        let world = World::new(Quirk::Guarded, life);
        world.variable("inline_tail_bytes", "0");
        let server = serve(&world);
        call(&server, ask("PUT", "s").content_type("text/plain"));
        let append = || ask("POST", "s").content_type("text/plain").body("x");
        for _ in 0..64 {
            call(&server, append());
        }
        let doomed = Service::new(world.instance().crashing_after(life));
        call(&doomed, append());
        call(&server, ask("DELETE", "s"));
        work_all(&server);
        let blocks: Vec<String> = left(&world)
            .into_iter()
            .filter(|key| key.starts_with("i."))
            .collect();
        assert!(blocks.is_empty(), "after {life} operations: {blocks:?}");
        if !doomed.env().is_dead() {
            break;
        }
    }
}

#[test]
fn an_expired_stream_without_requests_is_removed_by_work() {
    for quirk in QUIRKS {
        for expiry in [
            ("stream-ttl", "5"),
            ("stream-expires-at", "2026-01-01T00:00:05Z"),
        ] {
            let world = World::new(quirk, 3);
            world.variable("inline_tail_bytes", "0");
            let server = serve(&world);
            let create = ask("PUT", "s").header(expiry.0, expiry.1).body("bytes");
            assert_eq!(call(&server, create).status, 201);
            world.advance(4_000);
            work_all(&server);
            assert_eq!(call(&server, ask("HEAD", "s")).status, 200);
            world.advance(7_000);
            work_all(&server);
            let left = left(&world);
            assert!(left.is_empty(), "{quirk:?} {expiry:?}: {left:?}");
        }
    }
}

#[test]
fn a_sweep_that_crashes_anywhere_is_ended_by_another_instance() {
    for quirk in QUIRKS {
        for life in 0..120 {
            let world = World::new(quirk, life);
            world.variable("inline_tail_bytes", "0");
            let server = serve(&world);
            let create = ask("PUT", "s").header("stream-ttl", "5").body("bytes");
            assert_eq!(call(&server, create).status, 201);
            world.advance(60_000);
            let doomed = Service::new(world.instance().crashing_after(life));
            for round in 0..200 {
                doomed.work(round);
            }
            let crashed = doomed.env().is_dead();
            // Entries that seem to belong to a life that goes on wait ten minutes.
            for _ in 0..30 {
                work_all(&server);
                world.advance(60_000);
            }
            let left = left(&world);
            assert!(left.is_empty(), "{quirk:?} after {life}: {left:?}");
            if !crashed {
                break;
            }
        }
    }
}

/// The store operations of one call of `work` are bounded, because platforms bound one request.
#[test]
fn one_piece_of_work_is_bounded() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = fill(&world, Size::Blocks);
        for n in 0..200 {
            let create = ask("PUT", &format!("e{n}"))
                .header("stream-ttl", 5)
                .body("x");
            assert_eq!(call(&server, create).status, 201);
        }
        assert_eq!(call(&server, ask("DELETE", "s")).status, 204);
        world.advance(60_000);
        let mut most = 0;
        for round in 0..2_000 {
            let before = server.env().ops();
            server.work(round);
            most = most.max(server.env().ops() - before);
        }
        println!("{quirk:?}: one piece of work takes at most {most} operations");
        // On a store that never confirms a swap, each swap needs another read.
        let again = if quirk == Quirk::SpinRedis { 8 } else { 0 };
        // The search reads each shard of both kinds, with the gate behind it if it is missing, and
        // a leaf of each shard of names.
        let search = 5 * u64::from(crate::limits::SHARDS);
        assert!(most <= crate::limits::WORK_OPERATIONS as u64 + search + again);
    }
}

/// A reader that had read the head found no bytes, and got 503 as if the store had lost them.
#[test]
fn a_read_of_a_stream_that_is_deleted_meanwhile_is_whole_or_a_404() {
    let mut missed = 0;
    for (again, at) in [false, true]
        .into_iter()
        .flat_map(|again| (0..6).map(move |at| (again, at)))
    {
        let world = World::new(Quirk::Guarded, 1);
        world.variable("inline_tail_bytes", "0");
        let other = serve(&world);
        let create = || ask("PUT", "s").content_type("text/plain");
        assert_eq!(call(&other, create().body("x")).status, 201);
        let mut ops = 0;
        let env = world.instance().with_hook(Box::new(move |_, _, _| {
            if ops == at {
                assert_eq!(call(&other, ask("DELETE", "s")).status, 204);
                work_all(&other);
                if again {
                    assert_eq!(call(&other, create().body("y")).status, 201);
                }
            }
            ops += 1;
        }));
        let read = call(&Service::new(env), ask("GET", "s?offset=-1"));
        match read.status {
            404 => missed += 1,
            200 if again => assert!(matches!(read.text(), "x" | "y"), "{read:?}"),
            200 => assert_eq!(read.text(), "x"),
            _ => panic!("{again} {at}: {read:?}"),
        }
    }
    assert!(missed > 1, "it was never deleted in between");
}
