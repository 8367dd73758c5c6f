//! Outages: Redis goes away, hangs, forgets, and has no room.

use super::*;
use futures::FutureExt;
use std::time::Instant;

/// Repeats a call until the store answers again.
#[track_caller]
pub(super) fn recovered<T>(ask: impl Fn() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn is_unavailable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unavailable(_)))
}

pub(super) const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn acknowledged_writes_are_there_after_redis_was_killed() {
    let Some(mut server) = own(&DURABLE) else {
        return;
    };
    let store = open(&server.url());
    assert!(
        store.describe().contains("on its disk"),
        "{}",
        store.describe()
    );
    let seen = |store: &RedisStore| recovered(|| store.get("k"));
    for value in ["one", "two", "three"] {
        store.set("k", text(value)).expect("it writes");
        let before = seen(&store);
        let watch = store.watch("k");
        server.kill().expect("it is killed");
        assert!(is_unavailable(&store.get("k")));
        assert!(is_unavailable(&store.set("k", text("lost"))));
        server.start_again().expect("it starts again");
        let after = seen(&store);
        assert_eq!(after, before);
        // Redis has lost its scripts. The new subscription receives this change.
        recovered(|| store.set("other", text("x")));
        assert!(store.swap("k", &after, text("next")).is_ok());
        expect_woken(watch);
    }
}

#[test]
fn a_redis_that_hangs_is_unavailable_until_it_goes_on() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    store.set("k", text("one")).expect("it writes");
    server.signal("STOP").expect("it stops");
    let begun = Instant::now();
    let read = store.get("k");
    assert!(is_unavailable(&read), "{read:?}");
    let written = store.set("k", text("two"));
    assert!(is_unavailable(&written), "{written:?}");
    assert!(
        begun.elapsed() < 3 * absence::PATIENCE,
        "{:?}",
        begun.elapsed()
    );
    server.signal("CONT").expect("it goes on");
    let seen = recovered(|| store.get("k"));
    assert!(seen.value.is_some());
}

/// Each call waited for the time-out by itself, so everything behind it waited too.
#[test]
fn while_redis_hangs_calls_are_refused_without_waiting() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    store.set("k", text("one")).expect("it writes");
    server.signal("STOP").expect("it stops");
    let begun = Instant::now();
    loop {
        // The first call waits, and so does a probe now and then.
        match store.get("k") {
            Err(StoreError::Unavailable(why)) if why.contains("away") => break,
            waited => assert!(is_unavailable(&waited), "{waited:?}"),
        }
        assert!(begun.elapsed() < PATIENCE, "each call waits");
    }
    server.signal("CONT").expect("it goes on");
    assert!(recovered(|| store.get("k")).value.is_some());
}

#[test]
fn a_read_is_asked_again_when_its_connection_was_cut() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    store.set("k", text("one")).expect("it writes");
    for _ in 0..10 {
        command(&mut admin(&server), "CLIENT KILL TYPE normal SKIPME yes");
        assert_eq!(store.get("k").map(|seen| seen.value), Ok(Some(text("one"))));
    }
}

#[test]
fn without_room_writes_are_refused_and_reads_and_deletions_go_on() {
    let Some(server) = own(&["--maxmemory-policy", "noeviction"]) else {
        return;
    };
    let store = open(&server.url());
    store.set("k", text("one")).expect("it writes");
    let seen = store.get("k").expect("it reads");
    let mut connection = admin(&server);
    command(&mut connection, "CONFIG SET maxmemory 1");
    let is_full = |refused: &StoreError| matches!(refused, StoreError::Full(_));
    let refused = store.set("k", text("two")).expect_err("no room");
    assert!(is_full(&refused), "{refused:?}");
    let refused = store.increment("c", 1).expect_err("no room");
    assert!(is_full(&refused), "{refused:?}");
    match store.swap("k", &seen, text("two")) {
        Err(SwapError::Store(refused)) => assert!(is_full(&refused), "{refused:?}"),
        swapped => panic!("{swapped:?}"),
    }
    assert_eq!(store.get("k"), Ok(seen), "nothing was applied");
    assert_eq!(store.exists("c").map(|(exists, _)| exists), Ok(false));
    assert!(store.delete("k").is_ok());
    command(&mut connection, "CONFIG SET maxmemory 0");
    assert!(store.set("k", text("three")).is_ok());
}

/// For seconds, clients received errors that left the outcome open, though the write was never
/// begun.
#[test]
fn a_write_that_redis_does_not_take_is_refused_and_reads_go_on() {
    // A snapshot can't be written over the directory of the append-only file.
    let settings = ["--save", "3600 1", "--dbfilename", "appendonlydir"];
    let Some(server) = own(&[&DURABLE[..], &settings].concat()) else {
        return;
    };
    let store = open(&server.url());
    store.set("k", text("one")).expect("it writes");
    let seen = store.get("k");
    let mut connection = admin(&server);
    let is_refused = |why: &str| {
        let refused = store.set("k", text("two"));
        let is_refused = matches!(&refused, Err(StoreError::Refused(said)) if said.contains(why));
        assert!(is_refused, "{refused:?}");
        assert_eq!(store.get("k"), seen, "nothing was applied");
    };
    command(&mut connection, "CONFIG SET min-replicas-to-write 1");
    is_refused("NOREPLICAS");
    command(&mut connection, "CONFIG SET min-replicas-to-write 0");
    command(&mut connection, "BGSAVE");
    let failed = || {
        let info = cmd("INFO").arg("persistence").query(&mut admin(&server));
        let info: String = info.expect("it answers");
        let failed = info.contains("rdb_last_bgsave_status:err");
        let running = || StoreError::Unavailable("not yet".to_owned());
        failed.then_some(()).ok_or_else(running)
    };
    recovered(failed);
    is_refused("MISCONF");
    command(&mut connection, "CONFIG SET stop-writes-on-bgsave-error no");
    assert!(store.set("k", text("three")).is_ok());
}

/// A Redis without an append-only file comes back empty, but versions must not start over. A swap
/// of an old version would replace another writer's value, and waiters would not be woken.
#[test]
fn numbers_go_on_growing_when_redis_forgot_them() {
    let Some(mut server) = own(&["--appendonly", "no"]) else {
        return;
    };
    let (store, other) = (open(&server.url()), open(&server.url()));
    assert!(
        store.describe().contains("snapshot"),
        "{}",
        store.describe()
    );
    let before = store.set("k", text("one")).expect("it writes");
    let seen = store.get("k").expect("it reads");
    let absent = store.get("absent").expect("it reads");
    let watch = store.watch("k");
    server.kill().expect("it is killed");
    server.start_again().expect("it starts again");
    let after = recovered(|| other.set("k", text("one")));
    assert!(after > before, "{after:?} after {before:?}");
    // The first connection of the store finds the new timeline.
    recovered(|| store.get("k"));
    let refused = store.swap("k", &seen, text("two"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert!(store.swap("absent", &absent, text("new")).is_ok());
    expect_woken(watch);
}

/// The counter of Redis is behind an assigned number, as after a failover to a clock that is behind
/// too.
#[test]
fn a_number_that_was_known_is_given_to_redis_again() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    let far = ChangeNumber::new(9_000_000_000_000_000);
    store.shared.changes.note("k", far.get());
    let mut connection = admin(&server);
    command(&mut connection, "CLIENT KILL TYPE pubsub");
    let raised = || {
        let changed = store.set("k", text("one"))?;
        let unraised = || StoreError::Unavailable("not yet".to_owned());
        (changed > far).then_some(()).ok_or_else(unraised)
    };
    recovered(raised);
}

/// Redis returned the number that readers had noted, so no reader read the lost keys again.
#[test]
fn waiting_readers_read_again_from_a_redis_that_is_behind() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    store.shared.changes.count_all(9_000_000_000_000_000);
    let noted = store.latest_change();
    let watch = store.watch("k");
    store.shared.catch_up().expect("it answers");
    assert!(store.last_change("k") > noted);
    assert_eq!(watch.now_or_never(), Some(()));
}

#[test]
fn a_start_without_redis_names_its_address() {
    let Some(mut server) = own(&[]) else { return };
    server.kill().expect("it is killed");
    let refused = try_open(&server.url()).err().expect("no server is there");
    let (_, place) = server
        .url()
        .split_once("//")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("an address");
    assert!(refused.contains(&place), "{refused}");
    assert!(!refused.contains('\n'), "{refused}");
}
