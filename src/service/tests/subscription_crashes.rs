//! Crashes between any two operations of subscriptions: no wake is lost or announced twice, and
//! acked events stay acked.

use super::deletion::{QUIRKS, work_all};
use super::driver::{Server, ask, call, serve};
use super::subscribing::{
    ack_all, append, claim, create, ds, ds_json, json_of, ok, paths, pull, read, server, take_all,
    webhook, woken,
};
use super::world::{Quirk, World};
use crate::service::Service;
use crate::service::exchange::{Delivery, DeliveryResult};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The work of a doomed instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// A new subscription, with existing streams.
    Subscribe,
    /// A new stream that a pattern matches, with a first event.
    Create,
    /// An event for an idle subscription.
    Append,
    Claim,
    /// An ack with `done`, while more is pending.
    Ack,
    Release,
    /// The lease ends.
    Expire,
    /// A stream is named.
    Name,
}

const SCENES: [Scene; 8] = [
    Scene::Subscribe,
    Scene::Create,
    Scene::Append,
    Scene::Claim,
    Scene::Ack,
    Scene::Release,
    Scene::Expire,
    Scene::Name,
];

/// The state before the scene, and the claim that a worker has.
fn set_up(world: &Arc<World>, scene: Scene) -> (Server, Value) {
    let server = server(world);
    ok(call(&server, create("events/a", "one")));
    ok(call(&server, create("named", "one")));
    if scene == Scene::Subscribe {
        return (server, Value::Null);
    }
    ok(call(&server, pull("s", "events/*")));
    if matches!(scene, Scene::Create | Scene::Append | Scene::Name) {
        return (server, Value::Null);
    }
    ok(call(&server, append("events/a", "two")));
    if scene == Scene::Claim {
        return (server, Value::Null);
    }
    let claimed = json_of(&ok(claim(&server, "s", "w")));
    ok(call(&server, append("events/a", "three")));
    (server, claimed)
}

/// Performs the scene, and returns the status of the answer.
fn act(doomed: &Server, scene: Scene, claimed: &Value) -> u16 {
    match scene {
        Scene::Subscribe => call(doomed, pull("s", "events/*")).status,
        Scene::Create => call(doomed, create("events/b", "two")).status,
        Scene::Append => call(doomed, append("events/a", "two")).status,
        Scene::Claim => claim(doomed, "s", "doomed").status,
        Scene::Ack => ack_all(doomed, "s", claimed, true).status,
        Scene::Release => {
            let body = json!({"wake_id": claimed["wake_id"], "generation": 1});
            let token = format!("Bearer {}", claimed["token"].as_str().unwrap());
            let request = ds_json("POST", "subscriptions/s/release", &body);
            call(doomed, request.header("authorization", token)).status
        }
        Scene::Expire => {
            doomed.env().world().advance(30_000);
            for round in 0..64 {
                doomed.work(round);
            }
            0
        }
        Scene::Name => {
            let body = json!({"streams": ["named"]});
            call(doomed, ds_json("POST", "subscriptions/s/streams", &body)).status
        }
    }
}

/// Works, including work that waits for its time: leases, and wakes to announce again.
fn recover(server: &Server) {
    for wait_ms in [0, 2_000, 31_000, 61_000, 31_000] {
        server.env().world().advance(wait_ms);
        work_all(server);
    }
}

/// A worker that does all pending work, as far as it is woken.
fn drain(server: &Server, case: &str) {
    let mut done = 0;
    loop {
        let announced: BTreeSet<u64> = woken(server).into_iter().collect();
        assert_eq!(
            announced.len(),
            woken(server).len(),
            "{case}: a wake was announced twice"
        );
        let claimed = claim(server, "s", "w");
        if claimed.status == 409 {
            break;
        }
        let claimed = json_of(&ok(claimed));
        let generation = claimed["generation"].as_u64().unwrap();
        assert!(
            announced.contains(&generation),
            "{case}: generation {generation} was not announced: {announced:?}"
        );
        ok(ack_all(server, "s", &claimed, true));
        done += 1;
        assert!(done < 10, "{case}: it is woken for ever");
    }
    let page = read(server, "s");
    for stream in page["streams"].as_array().unwrap() {
        let path = stream["path"].as_str().unwrap();
        let tail = ok(call(server, ask("HEAD", path)));
        assert_eq!(stream["acked_offset"], tail.offset(), "{case}: {path}");
    }
}

#[test]
fn a_crash_at_any_operation_loses_no_wake_and_announces_none_twice() {
    for quirk in QUIRKS {
        for scene in SCENES {
            for life in 0.. {
                let case = format!("{quirk:?} {scene:?} after {life}");
                let world = World::new(quirk, life);
                let (first, claimed) = set_up(&world, scene);
                drop(first);
                let doomed = Service::new(world.instance().crashing_after(life));
                let status = act(&doomed, scene, &claimed);
                let crashed = doomed.env().is_dead();
                let server = serve(&world);
                recover(&server);
                if scene == Scene::Subscribe && status != 201 {
                    // The creation was not acknowledged: a repeated request completes it.
                    let again = call(&server, pull("s", "events/*"));
                    assert!(matches!(again.status, 200 | 201), "{case}: {again:?}");
                }
                if scene == Scene::Create && !(200..300).contains(&status) {
                    ok(call(&server, create("events/b", "two")));
                }
                if scene == Scene::Ack && status == 200 {
                    let acked = &read(&server, "s")["streams"][0]["acked_offset"];
                    assert_eq!(*acked, claimed["streams"][0]["tail_offset"], "{case}");
                }
                if scene == Scene::Name && status != 204 {
                    let body = json!({"streams": ["named"]});
                    ok(call(
                        &server,
                        ds_json("POST", "subscriptions/s/streams", &body),
                    ));
                }
                drain(&server, &case);
                // The subscription goes on as if nothing had happened.
                ok(call(&server, append("events/a", "more")));
                ok(call(&server, create("events/c", "more")));
                drain(&server, &case);
                let mut expected = vec!["events/a", "events/c"];
                if scene == Scene::Create {
                    expected.insert(1, "events/b");
                }
                if scene == Scene::Name {
                    expected.push("named");
                    ok(call(&server, append("named", "more")));
                    drain(&server, &case);
                }
                assert_eq!(paths(&server), expected, "{case}");
                // The old wake is over.
                if !claimed.is_null() {
                    let late = ack_all(&server, "s", &claimed, true);
                    assert_eq!(late.status, 409, "{case}: {late:?}");
                }
                if !crashed {
                    break;
                }
            }
        }
    }
}

/// An append waited for one timed-out operation per subscription: with many of them, for minutes.
#[test]
fn a_store_that_went_silent_is_not_asked_once_for_each_subscription() {
    const SUBSCRIPTIONS: usize = 8;
    let mut committed = 0;
    for life in 1..200 {
        let world = World::new(Quirk::Guarded, 1);
        let server = server(&world);
        ok(call(&server, create("events/a", "one")));
        for number in 0..SUBSCRIPTIONS {
            ok(call(&server, pull(&number.to_string(), "events/*")));
        }
        let doomed = Service::new(world.instance().crashing_after(life));
        let status = call(&doomed, append("events/a", "two")).status;
        let waited = doomed.env().ops().saturating_sub(life);
        let silent = doomed.env().is_dead();
        if !silent {
            break;
        }
        if status != 204 {
            continue;
        }
        committed += 1;
        assert!(waited <= 6, "{waited} operations timed out");
        recover(&server);
        for number in 0..SUBSCRIPTIONS {
            assert_eq!(claim(&server, &number.to_string(), "w").status, 200);
        }
    }
    assert!(committed >= SUBSCRIPTIONS, "{committed}");
}

#[test]
fn a_delivery_is_repeated_after_a_crash_around_it() {
    for quirk in QUIRKS {
        for done in [false, true] {
            for life in 0.. {
                let case = format!("{quirk:?} done: {done} after {life}");
                let world = World::new(quirk, life);
                let server = server(&world);
                ok(call(&server, webhook("s", "events/*")));
                ok(call(&server, create("events/a", "")));
                let answer = server.start(&[append("events/a", "one").raw()], None);
                let [sent] = answer[0].effects.as_slice() else {
                    panic!("{case}: {answer:?}");
                };
                ok(call(&server, append("events/a", "two")));
                let doomed = Service::new(world.instance().crashing_after(life));
                let outcome = match done {
                    true => DeliveryResult::Answered {
                        status: 200,
                        body: br#"{"done":true}"#.to_vec(),
                    },
                    false => DeliveryResult::Failed,
                };
                doomed.delivered(&sent.token, &outcome);
                let crashed = doomed.env().is_dead();
                let server = serve(&world);
                let mut last: Option<Delivery> = None;
                for wait_ms in [0, 2_000, 31_000, 61_000] {
                    world.advance(wait_ms);
                    for round in 0..64 {
                        last = server.work(round).effects.pop().or(last);
                    }
                }
                let Some(last) = last else {
                    // The stopped instance's own delivery is lost, so a worker must send another
                    // one.
                    panic!("{case}: it is not delivered again");
                };
                let accepted = DeliveryResult::Answered {
                    status: 200,
                    body: br#"{"done":true}"#.to_vec(),
                };
                let more = server.delivered(&last.token, &accepted);
                assert!(more.effects.is_empty(), "{case}");
                let page = read(&server, "s");
                let tail = ok(call(&server, ask("HEAD", "events/a")));
                assert_eq!(page["streams"][0]["acked_offset"], tail.offset(), "{case}");
                assert_eq!(page["status"], "active", "{case}");
                if !crashed {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_subscription_and_a_stream_that_begin_at_once_find_each_other() {
    // At each operation of one request, all of the other runs.
    for quirk in [Quirk::Guarded, Quirk::SpinRedis] {
        for (one, other) in [
            (create("events/a", "new"), pull("s", "events/*")),
            (pull("s", "events/*"), create("events/a", "new")),
        ] {
            for at in 0.. {
                let case = format!("{quirk:?} {one:?} at {at}");
                let world = World::new(quirk, at);
                let setting_up = server(&world);
                // Records that are created at their first use exist already.
                ok(call(&setting_up, pull("first", "x/*")));
                ok(call(&setting_up, ds("DELETE", "subscriptions/first")));
                for n in 0..40 {
                    ok(call(&setting_up, create(&format!("other/{n}"), "")));
                }
                let second = serve(&world);
                let meanwhile = other.clone();
                let hook = move |ops: u64, _, _: &str| {
                    if ops == at {
                        ok(call(&second, meanwhile.clone()));
                    }
                };
                let first = Service::new(world.instance().with_hook(Box::new(hook)));
                ok(call(&first, one.clone()));
                let reached = first.env().ops() > at;
                let server = serve(&world);
                if !reached {
                    break;
                }
                assert_eq!(paths(&server), ["events/a"], "{case}");
                ok(call(&server, append("events/a", "more")));
                assert!(!woken(&server).is_empty(), "{case}");
                drain(&server, &case);
            }
        }
    }
}

/// The link named the earlier life of the stream, and the cursor for the next life moved only after
/// another append: workers acked the same events again and again.
#[test]
fn a_stream_that_begins_again_is_acked_once_whatever_stops_on_the_way() {
    for creation in 0.. {
        let mut created = true;
        for walk in 0.. {
            let case = format!("creation stops after {creation}, the walk after {walk}");
            let world = World::new(Quirk::Guarded, 1);
            world.variable("registry", "false");
            let server = server(&world);
            let body = json!({"type": "pull-wake", "streams": ["a"], "wake_stream": "wake/pool"});
            ok(call(&server, ds_json("PUT", "subscriptions/s", &body)));
            ok(call(&server, create("a", "one")));
            take_all(&server);
            ok(call(&server, ask("DELETE", "a")));
            let doomed = Service::new(world.instance().crashing_after(creation));
            let _ = call(&doomed, create("a", "two"));
            created = !doomed.env().is_dead();
            let doomed = Service::new(world.instance().crashing_after(walk));
            let walked = (0..24).all(|round| {
                doomed.work(round);
                !doomed.env().is_dead()
            });
            world.advance(61_000);
            (0..24).for_each(|round| drop(server.work(round)));
            if call(&server, ask("HEAD", "a")).status == 200 {
                drain(&server, &case);
            }
            if walked {
                break;
            }
        }
        if created {
            break;
        }
    }
}
