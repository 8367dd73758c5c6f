//! Answers to requests that went on over a failing store: they claim no more than is known.

use super::driver::{Response, Server, ask, call, go_on, read_all, serve};
use super::subscribing::*;
use super::world::{Faults, Op, Quirk, World};
use crate::protocol::request::RawRequest;
use crate::service::Service;
use crate::service::exchange::{Next, ResponseContext};
use std::sync::Arc;

const SILENT: Faults = Faults {
    before: 1000,
    after: 0,
    late: 0,
    full: 0,
    refused: 0,
};

/// An instance with a store that goes silent at the first swap of a key with this prefix. The store
/// applies that swap if `applies`.
fn silent_from(world: &Arc<World>, prefix: &'static str, applies: bool) -> Server {
    let faulty = Arc::clone(world);
    let mut swapped = false;
    let hook = move |_, op, key: &str| {
        if swapped {
            faulty.set_faults(SILENT);
        } else if op == Op::Swap && key.starts_with(prefix) {
            swapped = true;
            let after = if applies { 1000 } else { 0 };
            faulty.set_faults(Faults {
                before: 1000 - after,
                after,
                ..SILENT
            });
        }
    };
    Service::new(world.instance().with_hook(Box::new(hook)))
}

/// Begins an append of these requests over a store that goes silent at its swap. Returns the
/// attempt.
fn begin(world: &Arc<World>, raw: &[RawRequest<'_>], applies: bool) -> Vec<u8> {
    let begun = silent_from(world, "s.", applies).start(raw, None);
    let Next::Again { attempt, .. } = &begun[0].next else {
        panic!("{begun:?}");
    };
    world.set_faults(Faults::default());
    attempt.clone()
}

fn code(response: &Response) -> (u16, String) {
    (response.status, response.code())
}

/// A claim that was applied got the answer that it was not. The worker's next claim was refused,
/// because another worker, the caller itself, had the lease.
#[test]
fn a_claim_that_may_have_been_applied_has_an_unknown_outcome() {
    for applies in [true, false] {
        let world = World::new(Quirk::Guarded, 1);
        let server = server(&world);
        ok(call(&server, pull("s", "events/*")));
        ok(call(&server, create("events/a", "one")));
        let response = claim(&silent_from(&world, "u.", applies), "s", "w");
        assert_eq!(code(&response), (503, "OUTCOME_UNKNOWN".to_owned()));
        world.set_faults(Faults::default());
        let again = claim(&server, "s", "w").status;
        assert_eq!(again, if applies { 409 } else { 200 });
    }
}

#[test]
fn a_claim_that_could_not_begin_was_not_applied() {
    let world = World::new(Quirk::Guarded, 1);
    let server = server(&world);
    ok(call(&server, pull("s", "events/*")));
    ok(call(&server, create("events/a", "one")));
    world.set_faults(SILENT);
    let response = claim(&server, "s", "w");
    assert_eq!(code(&response), (503, "UNAVAILABLE".to_owned()));
}

/// An append that went on in another instance got the answer that it was not applied. That instance
/// could not read the kind of its store.
#[test]
fn an_attempt_continues_in_an_instance_that_knows_nothing_yet() {
    let world = World::new(Quirk::Guarded, 1);
    ok(call(&serve(&world), create("s", "")));
    let requests = [append("s", "one"), append("s", "two")];
    let raw = requests.each_ref().map(|request| request.raw());
    let attempt = begin(&world, &raw, true);
    let faulty = Arc::clone(&world);
    let hook = move |_, op, key: &str| {
        faulty.set_faults(match op == Op::Get && key.starts_with("m.") {
            true => SILENT,
            false => Faults::default(),
        });
    };
    let other = Service::new(world.instance().with_hook(Box::new(hook)));
    for answer in other.start(&raw, Some(&attempt)) {
        let response = go_on(
            &other,
            Response::default(),
            ResponseContext::default(),
            answer,
        )
        .whole();
        assert_eq!(response.status, 204, "{response:?}");
    }
    world.set_faults(Faults::default());
    assert_eq!(read_all(&serve(&world), "s"), b"onetwo");
}

/// A part of a commit's requests got the answers of others, or took the place of all of them.
#[test]
fn some_requests_of_a_commit_alone_get_an_unknown_outcome() {
    let world = World::new(Quirk::Guarded, 1);
    ok(call(&serve(&world), create("s", "")));
    let requests = [append("s", "one"), append("s", "two")];
    let raw = requests.each_ref().map(|request| request.raw());
    let attempt = begin(&world, &raw, false);
    let server = serve(&world);
    let answer = server.start(&raw[1..], Some(&attempt)).remove(0);
    let response = go_on(
        &server,
        Response::default(),
        ResponseContext::default(),
        answer,
    )
    .whole();
    assert_eq!(code(&response), (503, "OUTCOME_UNKNOWN".to_owned()));
    assert_eq!(
        call(&server, ask("HEAD", "s")).offset(),
        "0000000000000000_0000000000000000"
    );
}
