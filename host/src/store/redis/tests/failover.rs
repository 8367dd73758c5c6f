//! Failovers: another Redis takes over, and the old one goes on answering.

use super::*;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An address that leads to one Redis and later to another, as a name or a proxy does. Existing
/// connections keep their destination.
struct Address {
    port: u16,
    leads_to: Arc<Mutex<String>>,
}

/// Host and port of a server.
fn place(server: &RedisServer) -> String {
    let url = server.url();
    let place = url
        .strip_prefix("redis://")
        .and_then(|rest| rest.strip_suffix("/0"));
    place.expect("host and port").to_owned()
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        // However the copy ends, the other side must be notified.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

impl Address {
    fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let leads_to = Arc::new(Mutex::new(place(server)));
        let there = Arc::clone(&leads_to);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let there = there.lock().expect("no test panicked").clone();
                let server = TcpStream::connect(there).expect("a redis");
                let [client_too, server_too] =
                    [&client, &server].map(|stream| stream.try_clone().expect("a handle"));
                pass_on(client, server_too);
                pass_on(server, client_too);
            }
        });
        Self { port, leads_to }
    }

    fn lead_to(&self, server: &RedisServer) {
        *self.leads_to.lock().expect("no test panicked") = place(server);
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

/// Two masters, and a store with connections to the first. The first becomes a replica, which still
/// serves reads of its data.
fn failed_over(settings: &[&str]) -> Option<(RedisServer, RedisServer, RedisStore)> {
    let (old, new) = (own(settings)?, own(&[])?);
    let address = Address::to(&old);
    let store = open(&address.url());
    store.set("k", text("old")).expect("it writes");
    address.lead_to(&new);
    command(&mut admin(&old), "REPLICAOF 127.0.0.1 1");
    Some((old, new, store))
}

/// Before the fix, the store kept its connections to the old master. It wrote nothing, and read the
/// old data for as long as calls arrived.
#[test]
fn after_a_failover_a_write_or_two_are_refused_and_all_goes_on_with_the_new_master() {
    let Some((_old, new, store)) = failed_over(&[]) else {
        return;
    };
    let refused = store.set("k", text("refused"));
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    // The first connection to the new master finds another timeline than the write was built on.
    let written = store.set("k", text("new"));
    let written = written.or_else(|_| store.set("k", text("new")));
    written.expect("it writes");
    let value = |store: &RedisStore| store.get("k").map(|seen| seen.value);
    assert_eq!(value(&store), Ok(Some(text("new"))));
    assert_eq!(value(&open(&new.url())), Ok(Some(text("new"))));
}

#[test]
fn a_replica_that_may_not_be_read_is_left_after_one_read() {
    let settings = ["--replica-serve-stale-data", "no"];
    let Some((_old, _new, store)) = failed_over(&settings) else {
        return;
    };
    let refused = store.get("k");
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(store.get("k").map(|seen| seen.value), Ok(None));
}

/// The feed stayed subscribed to the old master, which had no messages.
#[test]
fn after_a_failover_changes_at_the_new_master_wake_waiting_readers() {
    let Some((_old, new, store)) = failed_over(&[]) else {
        return;
    };
    let watch = store.watch("k");
    assert!(store.set("other", text("refused")).is_err());
    open(&new.url()).set("k", text("new")).expect("it writes");
    expect_woken(watch);
}
