//! Crashes between any two operations of a fork's creation, deletion and collection; and many
//! instances at them at once, over stores with faults.

use super::deletion::{QUIRKS, left, work_all};
use super::driver::{Server, ask, call, call_in_turn, read_all, serve};
use super::forks::{fork, post, put};
use super::schedule::Baton;
use super::world::{Faults, Quirk, World};
use crate::keys::head::Record;
use crate::keys::{Envelope, NameHash, State};
use crate::limits::{SHARDS, WORK_OPERATIONS};
use crate::service::Service;
use crate::stream::{ForkStep, Forks, Link};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The work of a doomed instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Create,
    /// The name had a life that is not collected yet.
    CreateAgain,
    /// The name was a fork before, and its source still counts that fork.
    ForkAgain,
    Delete,
    DeleteSource,
    /// The source is deleted already, and ends with its last fork.
    DeleteLast,
    /// Only background work: a chain of three has to end.
    Collect,
}

const SCENES: [Scene; 7] = [
    Scene::Create,
    Scene::CreateAgain,
    Scene::ForkAgain,
    Scene::Delete,
    Scene::DeleteSource,
    Scene::DeleteLast,
    Scene::Collect,
];

/// Bytes of the source.
const SOURCE: &str = "one,two,three,";

fn set_up(world: &Arc<World>, scene: Scene) -> Server {
    world.variable("inline_tail_bytes", "8");
    let server = serve(world);
    let ok = |response: super::driver::Response| assert!(response.is_ok(), "{response:?}");
    ok(call(&server, put("s").body("one,two,")));
    ok(call(&server, post("s", "three,")));
    match scene {
        Scene::Create => {}
        Scene::CreateAgain => {
            ok(call(
                &server,
                put("f").body("before, and longer than inline"),
            ));
            ok(call(&server, ask("DELETE", "f")));
        }
        Scene::ForkAgain => {
            ok(call(&server, fork("f", "s").body("before")));
            ok(call(&server, ask("DELETE", "f")));
        }
        Scene::Delete | Scene::DeleteSource => ok(call(&server, fork("f", "s"))),
        Scene::DeleteLast => {
            ok(call(&server, fork("f", "s").body("chunks of its own")));
            ok(call(&server, ask("DELETE", "s")));
        }
        Scene::Collect => {
            ok(call(&server, fork("f", "s").body("chunks of its own")));
            ok(call(&server, fork("g", "f").body("and of its own too")));
            for name in ["s", "f", "g"] {
                ok(call(&server, ask("DELETE", name)));
            }
        }
    }
    server
}

/// Performs the scene. One piece of work takes at most `most` operations.
fn act(doomed: &Server, scene: Scene, most: u64) -> u16 {
    let request = match scene {
        Scene::Create | Scene::CreateAgain | Scene::ForkAgain => {
            fork("f", "s").body("own bytes, more than inline")
        }
        Scene::Delete | Scene::DeleteLast => ask("DELETE", "f"),
        Scene::DeleteSource => ask("DELETE", "s"),
        Scene::Collect => {
            let mut idle = 0;
            for round in 0.. {
                let before = doomed.env().ops();
                idle = if doomed.work(round).worked {
                    0
                } else {
                    idle + 1
                };
                let ops = doomed.env().ops() - before;
                assert!(ops <= most, "{ops} operations");
                if idle > 20 || doomed.env().is_dead() {
                    break;
                }
            }
            return 0;
        }
    };
    call(doomed, request).status
}

/// Works until nothing is left to do, including work that waits for its time.
fn recover(server: &Server) {
    for wait_ms in [61_000, 600_000, 61_000] {
        work_all(server);
        server.env().world().advance(wait_ms);
    }
    work_all(server);
}

/// All records of streams.
fn records(world: &Arc<World>) -> Vec<Record> {
    let heads = world.keys().into_iter().filter(|key| key.starts_with("s."));
    let envelopes = heads.filter_map(|key| Envelope::decode(&world.peek(&key)?).ok());
    envelopes
        .filter(|envelope| envelope.state == State::Confirmed)
        .map(|envelope| Record::decode(&envelope.body, envelope.version).unwrap())
        .collect()
}

/// Checks that every stream counts its existing forks, and that no fork stays half joined or half
/// gone.
pub(super) fn assert_counts(world: &Arc<World>, case: &str) {
    let link = |record: &Record, incarnation| Link {
        hash: *NameHash::of(record.name()).bytes(),
        incarnation,
    };
    let records = records(world);
    let mut sources = BTreeMap::<String, (Forks, u64)>::new();
    let key = |link: &Link| format!("{link:?}");
    for record in &records {
        if let Record::Live(head) = record {
            let link = link(record, head.incarnation);
            sources.insert(key(&link), (head.forks.clone(), 0));
        }
    }
    for record in &records {
        let (life, source) = match record {
            Record::Live(head) => (head.incarnation, head.lineage.as_ref().map(|l| l.source)),
            Record::Tombstone(tombstone) => (tombstone.incarnation, tombstone.source),
        };
        let pending = matches!(record, Record::Live(head) if head.is_pending());
        assert!(!pending, "{case}: {} is pending for ever", record.name());
        let Some(source) = source else { continue };
        let Some((forks, there)) = sources.get_mut(&key(&source)) else {
            let over = matches!(record, Record::Tombstone(_));
            assert!(over, "{case}: the source of {} is gone", record.name());
            continue;
        };
        let left = forks.step(life) == Some(ForkStep::Leaving);
        *there += u64::from(!left);
    }
    for (forks, there) in sources.values() {
        assert_eq!(forks.count, *there, "{case}: {forks:?}");
    }
}

#[test]
fn a_crash_at_any_operation_is_finished_or_undone_by_later_work() {
    for quirk in QUIRKS {
        // On a store that never confirms a swap, each swap needs another read. Records in first use
        // are created in several steps.
        let again = if quirk == Quirk::Guarded { 0 } else { 16 };
        // The search reads shards of both kinds.
        let search = 3 * u64::from(SHARDS);
        for scene in SCENES {
            let mut leaked = 0;
            for life in 0.. {
                let case = format!("{quirk:?} {scene:?} after {life}");
                let world = World::new(quirk, life);
                drop(set_up(&world, scene));
                let doomed = Service::new(world.instance().crashing_after(life));
                act(&doomed, scene, WORK_OPERATIONS as u64 + search + again);
                let crashed = doomed.env().is_dead();
                let server = serve(&world);
                recover(&server);
                assert_counts(&world, &case);
                // In any case the fork exists as a whole or not at all, and can be created.
                if scene != Scene::Collect {
                    let source = call(&server, ask("GET", "s"));
                    match source.status {
                        200 => assert_eq!(source.text(), SOURCE, "{case}"),
                        status => {
                            let gone = matches!(scene, Scene::DeleteSource | Scene::DeleteLast);
                            assert!(gone && matches!(status, 404 | 410), "{case}: {source:?}");
                        }
                    }
                    let own = match scene {
                        Scene::Create | Scene::CreateAgain | Scene::ForkAgain => {
                            let made =
                                call(&server, fork("f", "s").body("own bytes, more than inline"));
                            assert!(matches!(made.status, 200 | 201), "{case}: {made:?}");
                            "own bytes, more than inline"
                        }
                        Scene::DeleteLast => "chunks of its own",
                        _ => "",
                    };
                    if call(&server, ask("HEAD", "f")).status == 200 {
                        let expected = format!("{SOURCE}{own}");
                        assert_eq!(read_all(&server, "f"), expected.as_bytes(), "{case}");
                    } else {
                        assert!(matches!(scene, Scene::Delete | Scene::DeleteLast), "{case}");
                    }
                }
                for name in ["f", "s"] {
                    let deleted = call(&server, ask("DELETE", name)).status;
                    assert!(matches!(deleted, 204 | 404 | 410), "{case}: {deleted}");
                }
                recover(&server);
                let left = left(&world);
                // A chunk that no head names yet is left for the offline check.
                let chunks = left.iter().filter(|key| key.starts_with("c.")).count();
                assert_eq!(chunks, left.len(), "{case}: {left:?}");
                let creates =
                    matches!(scene, Scene::Create | Scene::CreateAgain | Scene::ForkAgain);
                assert!(chunks == 0 || (crashed && creates), "{case}: {left:?}");
                leaked += chunks;
                if !crashed {
                    println!(
                        "{quirk:?} {scene:?}: {life} operations, {leaked} chunks leaked in all"
                    );
                    break;
                }
            }
        }
    }
}

/// An event while an instance pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// Workers do all the work that is due.
    Work,
    /// Time passes, so that workers take back work that seems left over.
    WorkLater,
    /// The source is deleted.
    DeleteSource,
    /// The fork is deleted, and another one takes its place.
    ForkAnew,
    /// Another instance gets the same request.
    Same,
}

const MEANWHILE: [Meanwhile; 5] = [
    Meanwhile::Work,
    Meanwhile::WorkLater,
    Meanwhile::DeleteSource,
    Meanwhile::ForkAnew,
    Meanwhile::Same,
];

fn go_by(world: &Arc<World>, meanwhile: Meanwhile, scene: Scene) {
    let server = serve(world);
    match meanwhile {
        Meanwhile::Work => {}
        Meanwhile::WorkLater => {
            for _ in 0..2 {
                work_all(&server);
                world.advance(700_000);
            }
        }
        Meanwhile::DeleteSource => drop(call(&server, ask("DELETE", "s"))),
        Meanwhile::ForkAnew => {
            call(&server, ask("DELETE", "f"));
            call(&server, fork("f", "s").body("another"));
        }
        Meanwhile::Same => drop(act(&server, scene, u64::MAX)),
    }
    work_all(&server);
}

#[test]
fn an_instance_that_pauses_at_any_operation_does_nothing_twice_and_nothing_too_late() {
    for quirk in QUIRKS {
        for (scene, meanwhile) in SCENES.into_iter().flat_map(|s| MEANWHILE.map(|m| (s, m))) {
            // The stores differ little here, so all of this runs once, and a part of it with each
            // store.
            let step = if quirk == Quirk::Guarded { 1 } else { 5 };
            for pause in (0..).step_by(step) {
                let case = format!("{quirk:?} {scene:?} {meanwhile:?} before {pause}");
                let world = World::new(quirk, pause);
                let server = set_up(&world, scene);
                // Another fork counts on the source, too.
                let other = call(&server, fork("h", "s")).status == 201;
                let there = world.clone();
                let hook = Box::new(move |ops, _, _: &str| {
                    if ops == pause {
                        go_by(&there, meanwhile, scene);
                    }
                });
                let slow = Service::new(world.instance().with_hook(hook));
                // A request that is overtaken tries again.
                act(&slow, scene, u64::MAX);
                let over = slow.env().ops() <= pause;
                recover(&server);
                assert_counts(&world, &case);
                if call(&server, ask("HEAD", "f")).status == 200 {
                    assert!(
                        read_all(&server, "f").starts_with(SOURCE.as_bytes()),
                        "{case}"
                    );
                }
                if other {
                    assert_eq!(read_all(&server, "h"), SOURCE.as_bytes(), "{case}");
                }
                for name in ["f", "h", "s"] {
                    call(&server, ask("DELETE", name));
                }
                recover(&server);
                let left = left(&world);
                let chunks = left.iter().filter(|key| key.starts_with("c.")).count();
                assert_eq!(chunks, left.len(), "{case}: {left:?}");
                if over {
                    break;
                }
            }
        }
    }
}

/// Works until the name `f` is barred to a fork. Each worker is stopped, the last one right after
/// it barred the name.
fn bar_and_stop(world: &Arc<World>) {
    let round = u64::from(NameHash::of("f").shard());
    for life in 0..200 {
        let doomed = Service::new(world.instance().crashing_after(life));
        doomed.work(round);
        let barred = |record: &Record| record.name().is_empty();
        if records(world).iter().any(barred) {
            return;
        }
    }
}

/// A worker with a clock ahead took the entry for left over, and removed it. The creator went on,
/// and was stopped later. So the fork stayed pending for ever, and its source was kept for it.
#[test]
fn a_creator_that_crashes_after_its_entry_counted_as_abandoned_leaves_nothing() {
    for (quirk, stops) in [
        (Quirk::Guarded, false),
        (Quirk::Guarded, true),
        (Quirk::SpinSqlite, false),
    ] {
        for pause in 0.. {
            let mut over = true;
            for life in pause + 1.. {
                let world = World::new(quirk, pause);
                world.variable("registry", "false");
                let server = set_up(&world, Scene::Create);
                let (there, other) = (world.clone(), serve(&world));
                let hook = Box::new(move |ops, _, _: &str| {
                    if ops == pause {
                        there.by_a_clock_off(3_600_000, || match stops {
                            true => bar_and_stop(&there),
                            false => work_all(&other),
                        });
                    }
                });
                let doomed = world.instance().crashing_after(life).with_hook(hook);
                let doomed = Service::new(doomed);
                act(&doomed, Scene::Create, u64::MAX);
                let crashed = doomed.env().is_dead();
                over &= doomed.env().ops() <= pause;
                recover(&server);
                for name in ["f", "s"] {
                    call(&server, ask("DELETE", name));
                }
                recover(&server);
                let records = records(&world).into_iter();
                let live = records.filter(|record| matches!(record, Record::Live(_)));
                let live: Vec<Record> = live.collect();
                assert!(
                    live.is_empty(),
                    "{quirk:?} {stops} before {pause}, until {life}: {live:?}"
                );
                if !crashed {
                    break;
                }
            }
            if over {
                break;
            }
        }
    }
}

const FAULTS: Faults = Faults {
    before: 8,
    after: 8,
    late: 15,
    full: 5,
    refused: 5,
};

#[test]
fn forks_created_and_deleted_at_once_are_counted_correctly() {
    for quirk in [
        Quirk::Guarded,
        Quirk::Plain,
        Quirk::SpinSqlite,
        Quirk::SpinRedis,
    ] {
        let (mut made, mut leaked) = (0, 0);
        for seed in 0..12 {
            let case = format!("{quirk:?} seed {seed}");
            let world = World::new(quirk, seed);
            world.variable("inline_tail_bytes", ["0", "16384"][seed as usize % 2]);
            call(&serve(&world), put("s").body("root"));
            if seed % 3 != 0 {
                world.set_faults(FAULTS);
            }
            world.set_op_us(200);
            let created = Baton::run(&world, 6, |baton, place| {
                let server = Service::new(world.instance().taking_turns(baton.clone(), place));
                let send = |request| call_in_turn(&server, &baton, place, request);
                let mut created = 0;
                for n in 0..14_u64 {
                    let any = |most: u64| world.random() % most;
                    let name = format!("f{}", any(3));
                    let source = ["s", "f0", "f1"][any(3) as usize];
                    match (place, any(4)) {
                        (0..4, 0 | 1) => {
                            let response = send(fork(&name, source).body("."));
                            created += u32::from(response.status == 201);
                        }
                        (0..4, 2) => drop(send(ask("DELETE", &name))),
                        (0..4, _) => drop(send(put("s").body("root"))),
                        (4, 0) if n > 8 => drop(send(ask("DELETE", "s"))),
                        (4, _) => {
                            let read = send(ask("GET", &name));
                            if read.status == 200 && !read.reset {
                                let text = read.text();
                                let own = text.strip_prefix("root").unwrap();
                                assert!(own.bytes().all(|byte| byte == b'.'), "{text}");
                            }
                        }
                        _ => drop(server.work(any(64))),
                    }
                    baton.sleep(place, 5);
                }
                created
            });
            made += created.iter().sum::<u32>();
            world.set_faults(Faults::default());
            world.land_late();
            let server = serve(&world);
            recover(&server);
            assert_counts(&world, &case);
            for name in ["s", "f0", "f1", "f2"] {
                let head = call(&server, ask("HEAD", name));
                assert!(
                    matches!(head.status, 200 | 404 | 410),
                    "{case}: {name} {head:?}"
                );
                if head.status == 200 {
                    assert!(read_all(&server, name).starts_with(b"root"), "{case}");
                }
                call(&server, ask("DELETE", name));
            }
            recover(&server);
            let mut left = left(&world);
            // A creation that was given up stays unconfirmed: the next one skips it.
            left.retain(|key| {
                let envelope = Envelope::decode(&world.peek(key).unwrap());
                !key.starts_with("s.") || envelope.unwrap().state == State::Confirmed
            });
            let chunks = left.iter().filter(|key| key.starts_with("c.")).count();
            assert_eq!(chunks, left.len(), "{case}: {left:?}");
            leaked += chunks;
        }
        println!("{quirk:?}: {made} forks made, {leaked} chunks left for the offline check");
    }
}
