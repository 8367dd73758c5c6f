//! Control calls about many streams, in steps short enough for the host.

use super::deletion::QUIRKS;
use super::driver::{Ask, Response, Server, ask, call, go_on, start};
use super::subscribing::*;
use super::world::{Quirk, World};
use crate::limits::{BACKFILL_STREAMS, SHARDS, SUBSCRIPTION_LINKS};
use crate::service::exchange::ResponseContext;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;

/// Store operations for one look at a stream or a leaf: a link swaps the head and the subscription.
const OPS: u64 = 12;

/// Other store operations of a step: the keys, the record, the list, a leaf of each shard.
const BESIDES: u64 = 32 + 4 * SHARDS as u64;

/// Most store operations of a step.
const MOST: u64 = BACKFILL_STREAMS as u64 * OPS + BESIDES;

/// One exchange, with the number of operations of each of its steps.
fn steps(server: &Server, ask: &Ask) -> (Response, Vec<u64>) {
    let ends = RefCell::new(vec![server.env().ops()]);
    let end = |ms| {
        server.env().world().advance(ms);
        ends.borrow_mut().push(server.env().ops());
    };
    let answer = start(server, &[ask.raw()], end).remove(0);
    let response = go_on(
        server,
        Response::default(),
        ResponseContext::default(),
        answer,
    )
    .whole();
    let mut ends = ends.into_inner();
    ends.push(server.env().ops());
    let counts = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    (response, counts)
}

/// Checks that the steps are bounded, and that there are at least as many as `reads` reads need.
/// The last two may also read the heads of `linked` streams: for pending events, and for the
/// answer.
#[track_caller]
fn assert_bounded(counts: &[u64], reads: usize, linked: usize) {
    let (earlier, last) = counts.split_at(counts.len().saturating_sub(2));
    let most = MOST + linked as u64;
    assert!(earlier.iter().all(|count| *count <= MOST), "{counts:?}");
    assert!(last.iter().all(|count| *count <= most), "{counts:?}");
    let least = reads.div_ceil(BACKFILL_STREAMS);
    assert!(counts.len() >= least, "{reads} in {counts:?}");
}

/// The leaves of the name registry.
fn leaves(world: &Arc<World>) -> usize {
    let keys = world.keys().into_iter();
    keys.filter(|key| key.starts_with("n.")).count()
}

/// A name that takes much of a leaf.
fn long_name(number: usize) -> String {
    format!("long/{number:0900}")
}

/// One step looked at all leaves. With a million streams the host ended that step, and also each
/// retry.
#[test]
fn a_pattern_that_no_stream_has_walks_the_registry_in_steps() {
    for quirk in [Quirk::Guarded, Quirk::Plain] {
        let world = World::new(quirk, 1);
        let server = server(&world);
        for number in 0..1_500 {
            ok(call(&server, create(&long_name(number), "")));
        }
        let leaves = leaves(&world);
        assert!(leaves > 2 * BACKFILL_STREAMS, "{leaves} leaves");
        let (created, counts) = steps(&server, &pull("s", "none/*"));
        assert_eq!(created.status, 201, "{quirk:?} {created:?}");
        assert_bounded(&counts, leaves, 0);
        // No leaf is read twice.
        let all: u64 = counts.iter().sum();
        assert!(all < leaves as u64 + BESIDES * counts.len() as u64, "{all}");
        assert!(read(&server, "s")["streams"].as_array().unwrap().is_empty());
    }
}

#[test]
fn streams_behind_many_leaves_and_many_in_one_leaf_are_all_linked() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        let mut expected = Vec::new();
        // More in the first leaves than one step links, and few in the later ones.
        for number in 0..1_600 {
            expected.push(format!("short/{number:04}"));
        }
        for name in &expected {
            ok(call(&server, create(name, "old")));
        }
        for number in 0..1_200 {
            ok(call(&server, create(&long_name(number), "")));
        }
        for number in 1_600..1_620 {
            let name = format!("short/{number:04}");
            ok(call(&server, create(&name, "old")));
            expected.push(name);
        }
        let (created, counts) = steps(&server, &pull("s", "short/*"));
        assert_eq!(created.status, 201, "{quirk:?} {created:?}");
        assert_bounded(&counts, expected.len() + leaves(&world), expected.len());
        assert_eq!(paths(&server), expected, "{quirk:?}");
        // The links have their cursors at the tails, and are in the streams' heads.
        assert_eq!(claim(&server, "s", "w").status, 409, "{quirk:?}");
        ok(call(&server, append("short/1619", "new")));
        assert_eq!(woken(&server), [1], "{quirk:?}");
    }
}

#[test]
fn a_name_that_leaves_its_leaf_between_two_steps_hides_no_other() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    let names: Vec<String> = (0..1_600)
        .map(|number| format!("short/{number:04}"))
        .collect();
    for name in &names {
        ok(call(&server, create(name, "old")));
    }
    // The first names stand before the place where a step ended.
    let gone = RefCell::new(names.iter());
    let removed = RefCell::new(Vec::new());
    let other = super::driver::serve(&world);
    let end = |ms| {
        world.advance(ms);
        let next: Vec<&String> = gone.borrow_mut().by_ref().take(10).collect();
        for name in &next {
            ok(call(&other, ask("DELETE", name)));
        }
        super::deletion::work_all(&other);
        removed.borrow_mut().extend(next);
    };
    let request = pull("s", "short/*");
    let answer = start(&server, &[request.raw()], end).remove(0);
    let created = go_on(
        &server,
        Response::default(),
        ResponseContext::default(),
        answer,
    )
    .whole();
    assert_eq!(created.status, 201, "{created:?}");
    let left = &names[removed.borrow().len()..];
    assert!(left.len() < names.len() - 100);
    assert_eq!(paths(&server), left);
}

#[test]
fn many_streams_are_named_in_steps() {
    for quirk in QUIRKS {
        let world = World::new(quirk, 1);
        let server = server(&world);
        let names: Vec<String> = (0..600).map(|number| format!("n/{number:04}")).collect();
        for name in &names {
            ok(call(&server, create(name, "old")));
        }
        ok(call(&server, pull("s", "events/*")));
        let body = json!({"streams": names});
        let (named, counts) = steps(&server, &ds_json("POST", "subscriptions/s/streams", &body));
        assert_eq!(named.status, 204, "{quirk:?} {named:?}");
        // Each stream was read twice: for its tail, and for its link.
        assert_bounded(&counts, 2 * names.len(), 0);
        assert_eq!(paths(&server), names, "{quirk:?}");
        let nothing = claim(&server, "s", "w");
        assert_refused(&nothing, 409, "NO_PENDING_WORK");
        ok(call(&server, append("n/0599", "new")));
        assert_eq!(woken(&server), [1], "{quirk:?}");
    }
}

#[test]
fn streams_are_not_named_to_the_next_subscription_of_that_id() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    let names: Vec<String> = (0..200).map(|number| format!("n/{number:04}")).collect();
    ok(call(&server, pull("s", "events/*")));
    let body = json!({"streams": names});
    let request = ds_json("POST", "subscriptions/s/streams", &body);
    let mut last = 0;
    for step in 0.. {
        let other = super::driver::serve(&world);
        let (ends, at) = (RefCell::new(0), step);
        let end = |_| {
            let mut ends = ends.borrow_mut();
            if *ends == at {
                ok(call(&other, ds("DELETE", "subscriptions/s")));
                ok(call(&other, pull("s", "events/*")));
            }
            *ends += 1;
        };
        let answer = start(&server, &[request.raw()], end).remove(0);
        let named = go_on(
            &server,
            Response::default(),
            ResponseContext::default(),
            answer,
        )
        .whole();
        if ends.into_inner() <= at {
            assert_eq!(named.status, 204);
            break;
        }
        last = step;
        match named.status {
            // The subscription was replaced before any name was written.
            204 => assert_eq!(paths(&server), names),
            status => assert_eq!((status, paths(&server).len()), (404, 0)),
        }
        ok(call(&server, ds("DELETE", "subscriptions/s")));
        ok(call(&server, pull("s", "events/*")));
    }
    assert!(last > 3, "it took {last} steps");
}

#[test]
fn more_names_than_a_subscription_has_room_for_are_refused_unread() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, pull("s", "events/*")));
    let names: Vec<String> = (0..=SUBSCRIPTION_LINKS).map(|n| n.to_string()).collect();
    let body = json!({"streams": names});
    let (refused, counts) = steps(&server, &ds_json("POST", "subscriptions/s/streams", &body));
    assert_refused(&refused, 409, "TOO_MANY_LINKS");
    assert_bounded(&counts, 0, 0);
}

/// One step compared all acks that fit into a body with their heads.
#[test]
fn more_acks_than_a_subscription_has_streams_are_refused_unread() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, pull("s", "events/*")));
    ok(call(&server, create("events/a", "one")));
    let claimed = claimed_by(&server, "w");
    let ack = |offset: &str| json!({"stream": "events/a", "offset": offset});
    let tail = claimed["streams"][0]["tail_offset"].as_str().unwrap();
    let call_with = |acks: Vec<Value>| {
        let body = json!({
            "wake_id": claimed["wake_id"], "generation": claimed["generation"], "acks": acks,
        });
        let token = format!("Bearer {}", claimed["token"].as_str().unwrap());
        ds_json("POST", "subscriptions/s/ack", &body).header("authorization", token)
    };
    let (refused, counts) = steps(&server, &call_with(vec![ack("-1"); SUBSCRIPTION_LINKS + 1]));
    assert_refused(&refused, 400, "INVALID_REQUEST");
    assert_bounded(&counts, 0, 0);
    // Of several acks of one stream the furthest counts, in any order.
    let (acked, _) = steps(&server, &call_with(vec![ack(tail), ack("-1")]));
    assert_eq!(acked.status, 200, "{acked:?}");
    assert_eq!(read(&server, "s")["streams"][0]["acked_offset"], tail);
}
