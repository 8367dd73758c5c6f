//! Control calls with a change that arrives at the store after the answer.

use super::deletion::{QUIRKS, work_all};
use super::driver::{Response, call, serve};
use super::subscribing::{
    ack_all, append, claim, create, error_code, json_of, ok, pull, read, server,
};
use super::world::{Faults, Op, Quirk, World};
use crate::service::Service;

/// An ack with a swap that is under way when its lease ends by the clock, and arrives at any later
/// time. `overtaken`: another worker gets the subscription meanwhile. Returns the answer, and
/// whether the cursor was moved in the end.
fn ack_late(quirk: Quirk, seed: u64, overtaken: bool) -> (Response, bool) {
    let world = World::new(quirk, seed);
    let server = server(&world);
    ok(call(&server, create("events/a", "")));
    ok(call(&server, pull("s", "events/*")));
    ok(call(&server, append("events/a", "one")));
    let claimed = json_of(&ok(claim(&server, "s", "w1")));
    let other = serve(&world);
    let (faulty, mut sent) = (world.clone(), None);
    let env = world
        .instance()
        .with_hook(Box::new(move |_, op, _| match (sent, op) {
            (None, Op::Swap) => {
                let late = 1000;
                faulty.set_faults(Faults {
                    late,
                    ..Faults::default()
                });
                sent = Some(true);
            }
            (Some(true), _) => {
                sent = Some(false);
                faulty.set_faults(Faults::default());
                faulty.advance(30_000);
                if overtaken {
                    work_all(&other);
                    claim(&other, "s", "w2");
                }
            }
            _ => {}
        }));
    let answer = ack_all(&Service::new(env), "s", &claimed, true);
    world.land_late();
    let acked = &read(&server, "s")["streams"][0]["acked_offset"];
    (answer, *acked == claimed["streams"][0]["tail_offset"])
}

/// The worker got a fenced error, and then its ack arrived. It had discarded its work, and no other
/// worker did the work again.
#[test]
fn an_ack_that_may_arrive_after_its_lease_is_not_called_fenced() {
    for quirk in QUIRKS {
        let (mut done, mut unknown, mut fenced) = (0, 0, 0);
        for (seed, overtaken) in (0..40).flat_map(|seed| [(seed, false), (seed, true)]) {
            let (answer, moved) = ack_late(quirk, seed, overtaken);
            let case = format!("{quirk:?} seed {seed} overtaken {overtaken}: {answer:?}");
            match (answer.status, &*answer.code()) {
                (200, _) => {
                    assert!(moved, "{case}");
                    done += 1;
                }
                (503, "OUTCOME_UNKNOWN") => {
                    assert!(!overtaken, "{case}");
                    unknown += 1;
                }
                _ => {
                    assert_eq!(error_code(&answer), "FENCED", "{case}");
                    assert!(!moved, "{case}");
                    fenced += 1;
                }
            }
        }
        assert!(
            done > 0 && unknown > 0 && fenced > 0,
            "{quirk:?}: {done} {unknown} {fenced}"
        );
    }
}
