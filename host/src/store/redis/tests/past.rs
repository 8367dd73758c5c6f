//! Restarts of Redis with an older state.

use super::outage::{DURABLE, recovered};
use super::*;

/// A Redis with a snapshot in which `k` is `kept`. Its later value `lost` is not in the snapshot.
fn with_a_snapshot() -> Option<(RedisServer, RedisStore)> {
    let server = own(&["--appendonly", "no"])?;
    let store = open(&server.url());
    store.set("k", text("kept")).expect("it writes");
    command(&mut admin(&server), "SAVE");
    store.set("k", text("lost")).expect("it writes");
    Some((server, store))
}

fn value(store: &RedisStore) -> Option<Bytes> {
    recovered(|| store.get("k")).value
}

#[test]
fn a_redis_from_an_older_snapshot_begins_a_timeline_on_every_host() {
    let Some((mut server, store)) = with_a_snapshot() else {
        return;
    };
    let other = open(&server.url());
    assert_eq!((store.timeline(), other.timeline()), (0, 0));
    let seen = store.get("k").expect("it reads");
    server.kill().expect("it is killed");
    server.start_again().expect("it starts again");
    assert_eq!(value(&store), Some(text("kept")));
    assert_eq!(value(&other), Some(text("kept")));
    assert_eq!((store.losses(), other.losses()), (1, 1));
    let timeline = store.timeline();
    assert!(timeline > 0 && timeline == other.timeline(), "{timeline}");
    // An earlier instance may have read lost values, even if the key at hand is unchanged.
    let absent = store.get("absent").expect("it reads");
    for seen in [&seen, &absent] {
        let refused = store.swap_since(0, "absent", seen, text("x"));
        assert_eq!(refused, Err(StoreError::lost().into()));
    }
    for value in [Some(text("x")), None] {
        let refused = store.write_since(0, "absent", value);
        assert_eq!(refused, Err(StoreError::lost()));
    }
    assert!(store.swap_since(1, "absent", &absent, text("x")).is_ok());
    // A third host reads the number without counting a loss.
    let third = open(&server.url());
    assert_eq!((third.timeline(), third.losses()), (timeline, 0));
}

/// Another host began the timeline, and this host does not know it yet.
#[test]
fn a_write_under_an_older_timeline_is_refused_by_redis_itself() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    let names = &store.shared.names;
    let record = format!("{}:timeline", names.namespace);
    let mut connection = admin(&server);
    let found: String = cmd("GET")
        .arg(&record)
        .query(&mut connection)
        .expect("it is there");
    let raised = found.replacen('0', "9", 1);
    command(&mut connection, &format!("SETRANGE {record} 0 9"));
    assert!(found.starts_with("0 ") && raised.starts_with("9 "));
    let absent = store.get("k").expect("it reads");
    assert_eq!(store.set("k", text("x")), Err(StoreError::lost()));
    assert_eq!(store.increment("c", 1), Err(StoreError::lost()));
    assert_eq!(
        store.swap("k", &absent, text("x")),
        Err(StoreError::lost().into())
    );
    assert_eq!(store.delete("k"), Err(StoreError::lost()));
    assert_eq!(store.get("k"), Ok(absent), "nothing was applied");
    store.shared.pool.forget();
    assert_eq!(value(&store), None);
    assert_eq!((store.timeline(), store.losses()), (9, 1));
    assert!(store.set("k", text("x")).is_ok());
}

#[test]
fn a_redis_that_keeps_all_on_its_disk_begins_no_timeline() {
    let Some(mut server) = own(&DURABLE) else {
        return;
    };
    let store = open(&server.url());
    store.set("k", text("kept")).expect("it writes");
    server.kill().expect("it is killed");
    server.start_again().expect("it starts again");
    assert_eq!(value(&store), Some(text("kept")));
    assert_eq!((store.timeline(), store.losses()), (0, 0));
    assert!(store.set("k", text("next")).is_ok());
}

#[test]
fn connections_to_the_same_redis_begin_no_timeline() {
    let Some(server) = own(&[]) else { return };
    let store = open(&server.url());
    for _ in 0..5 {
        command(&mut admin(&server), "CLIENT KILL TYPE normal SKIPME yes");
        assert_eq!(value(&store), None);
    }
    assert_eq!((store.timeline(), store.losses()), (0, 0));
}
