use super::*;
use crate::store::contract;
use ::redis::Connection;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use test_support::{RedisServer, redis_program};

mod failover;
mod outage;
mod past;

/// Longest wait before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The Redis of all tests that do not disturb it, or the reason why there is none.
static SHARED: LazyLock<Result<RedisServer, String>> = LazyLock::new(|| {
    let start = |program: &str| RedisServer::start(program, &std::env::temp_dir(), &[]);
    redis_program().map(|program| start(&program).expect("redis starts"))
});

fn skip<T>(why: &str) -> Option<T> {
    println!("skipped: {why}");
    None
}

/// Returns the shared Redis. Without one, prints the reason why the test is skipped.
fn shared() -> Option<&'static RedisServer> {
    SHARED.as_ref().map_or_else(|why| skip(why), Some)
}

/// A Redis with these settings, for tests that disturb it.
fn own(settings: &[&str]) -> Option<RedisServer> {
    let start = |program| RedisServer::start(program, &std::env::temp_dir(), settings);
    match redis_program() {
        Ok(program) => Some(start(&program).expect("redis starts")),
        Err(why) => skip(&why),
    }
}

/// The address of an unused namespace.
fn new_url(server: &RedisServer) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}?namespace=test.{count}", server.url())
}

fn try_open(url: &str) -> Result<RedisStore, String> {
    let url = url.parse::<RedisUrl>().expect("an address");
    RedisStore::open(&url).map_err(|error| error.to_string())
}

fn open(url: &str) -> RedisStore {
    try_open(url).expect("the store opens")
}

fn admin(server: &RedisServer) -> Connection {
    let client = ::redis::Client::open(server.url()).expect("an address");
    client.get_connection().expect("it connects")
}

/// Runs a command as an administrator.
fn command(connection: &mut Connection, words: &str) {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        command.arg(word);
    });
    let answer = command.query::<::redis::Value>(connection);
    answer.expect("it may do that");
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Waits for a watch, up to a limit.
#[track_caller]
fn expect_woken(watch: Watch) {
    let (sender, woken) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        futures::executor::block_on(watch);
        sender.send(())
    });
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(()), "no change woke it");
}

/// Runs the loop of a live read until it reads the last value: note, read, register, check, wait.
fn follow(store: &RedisStore, key: &str, last: &str) -> u64 {
    let mut reads = 0;
    loop {
        let noted = store.latest_change();
        reads += 1;
        let seen = store.get(key);
        if seen.is_ok_and(|seen| seen.value.is_some_and(|value| value == last)) {
            return reads;
        }
        let watch = store.watch(key);
        if store.last_change(key) <= noted {
            expect_woken(watch);
        }
    }
}

/// Rounds of a race. After the last change of a round, no other change wakes the reader.
const ROUNDS: u64 = 200;

/// A race of a writer on one host and a reader on another, while `disturb` interferes with Redis.
fn race(one: &RedisStore, other: &RedisStore, disturb: impl Fn() + Sync) -> u64 {
    let mut reads = 0;
    for round in 0..ROUNDS {
        let key = format!("race.{round}");
        reads += std::thread::scope(|scope| {
            let reader = scope.spawn(|| follow(other, &key, "3"));
            for value in ["1", "2", "3"] {
                one.set(&key, text(value)).expect("it writes");
            }
            disturb();
            reader.join().expect("the reader saw the last value")
        });
    }
    reads
}

#[test]
fn the_redis_store_keeps_the_contract() {
    let Some(server) = shared() else { return };
    contract::check_all(&|| Arc::new(open(&new_url(server))), &[]);
}

#[test]
fn a_host_reads_and_swaps_the_values_of_another() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let (one, other) = (open(&url), open(&url));
    one.set("k", text("one")).expect("it writes");
    let seen = other.get("k").expect("it reads");
    assert_eq!(seen.value, Some(text("one")));
    assert!(other.swap("k", &seen, text("two")).is_ok());
    let refused = one.swap("k", &seen, text("three"));
    assert_eq!(refused, Err(SwapError::Conflict));
    assert_eq!(one.increment("c", 1).map(|(sum, _)| sum), Ok(1));
    assert_eq!(other.increment("c", 1).map(|(sum, _)| sum), Ok(2));
}

#[test]
fn every_kind_of_change_wakes_readers_on_another_host() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let (one, other) = (open(&url), open(&url));
    let changes: [&dyn Fn(); 4] = [
        &|| drop(one.set("k", text("one"))),
        &|| drop(one.get("k").map(|seen| one.swap("k", &seen, text("two")))),
        &|| drop(one.delete("k")),
        &|| drop(one.increment("k", 1)),
    ];
    for change in changes {
        let noted = other.latest_change();
        let watch = other.watch("k");
        assert!(other.last_change("k") <= noted);
        change();
        expect_woken(watch);
        assert!(other.last_change("k") > noted);
    }
}

#[test]
fn no_wake_up_is_lost_between_two_hosts() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let reads = race(&open(&url), &open(&url), || {});
    println!("{ROUNDS} rounds of 3 changes: {reads} reads");
}

#[test]
fn no_wake_up_is_lost_while_subscriptions_are_cut() {
    let Some(server) = own(&[]) else { return };
    let url = new_url(&server);
    let cut = || command(&mut admin(&server), "CLIENT KILL TYPE pubsub");
    let reads = race(&open(&url), &open(&url), cut);
    println!("{ROUNDS} rounds of 3 changes: {reads} reads");
}

#[test]
fn a_host_that_may_not_subscribe_polls() {
    let Some(server) = own(&[]) else { return };
    command(
        &mut admin(&server),
        "ACL SETUSER deaf on >secret ~* &* +@all -subscribe",
    );
    let url = new_url(&server);
    let deaf = open(&url.replace("//", "//deaf:secret@"));
    let watch = deaf.watch("k");
    let noted = deaf.latest_change();
    open(&url).set("k", text("one")).expect("it writes");
    expect_woken(watch);
    assert!(deaf.last_change("k") > noted);
}

/// Before the fix, the host's writes were applied and then answered with errors.
#[test]
fn a_host_that_may_not_publish_does_not_start() {
    let Some(server) = own(&[]) else { return };
    let url = new_url(&server);
    let mute = url.replace("//", "//mute:secret@");
    let mut connection = admin(&server);
    command(&mut connection, "ACL SETUSER mute on >secret ~* +@all");
    let store = open(&url);
    let channel = &store.shared.names.channel;
    let refused = try_open(&mute).err().expect("it is refused");
    let grant = format!("+publish &{channel}");
    assert!(refused.contains(&grant), "{refused}");
    assert!(!refused.contains('\n'), "{refused}");
    command(&mut connection, &format!("ACL SETUSER mute {grant}"));
    assert!(open(&mute).set("k", text("one")).is_ok());
}

#[test]
fn a_host_that_starts_announces_no_change() {
    let Some(server) = shared() else { return };
    let store = open(&new_url(server));
    let before = store.latest_change();
    let watch = store.watch("k");
    let received = store.shared.receive(feed::NO_CHANGE.as_bytes());
    assert_eq!(received, Ok(()), "the subscription goes on");
    assert_eq!(store.latest_change(), before);
    assert_eq!(futures::FutureExt::now_or_never(watch), None);
}

/// Before the fix, a script had already written when Redis refused its publish command. Redis rolls
/// nothing back.
#[test]
fn a_write_that_may_not_be_published_is_not_applied() {
    let Some(server) = own(&[]) else { return };
    let url = new_url(&server);
    let mut connection = admin(&server);
    let rights = |rights: &str| format!("ACL SETUSER writer on >secret ~* +@all {rights}");
    command(&mut connection, &rights("&*"));
    let store = open(&url.replace("//", "//writer:secret@"));
    store.set("k", text("one")).expect("it writes");
    store.increment("c", 1).expect("it counts");
    let all = || ["k", "c", "absent", "no counter"].map(|key| store.get(key));
    let [before, ..] = all();
    let seen = before.expect("it reads");
    let swap = || match store.swap("k", &seen, text("two")) {
        Err(SwapError::Store(error)) => Err(error),
        swapped => panic!("{swapped:?}"),
    };
    type Write<'a> = &'a dyn Fn() -> Result<(), StoreError>;
    let writes: [(&str, Write<'_>); 5] = [
        ("set", &|| store.set("k", text("two")).map(drop)),
        ("swap", &swap),
        ("delete", &|| store.delete("k").map(drop)),
        ("increment", &|| store.increment("c", 1).map(drop)),
        ("new", &|| store.increment("no counter", 1).map(drop)),
    ];
    for (kind, write) in writes {
        command(&mut connection, &rights("resetchannels"));
        let before = all();
        let answer = write();
        let is_refused = matches!(answer, Err(StoreError::Refused(_)));
        assert!(is_refused, "{kind}: {answer:?}");
        assert_eq!(all(), before, "{kind} changed nothing");
        command(&mut connection, &rights("&*"));
        assert_eq!(all(), before, "{kind} changed nothing");
    }
    // A swap of the version read before them succeeds, so none of them counts as a change.
    assert!(store.swap("k", &seen, text("two")).is_ok());
    assert_eq!(store.increment("c", 1).map(|(sum, _)| sum), Ok(2));
}

#[test]
fn namespaces_and_databases_are_apart() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let one = open(&url);
    let others = [
        open(&new_url(server)),
        open(&url.replace("/0?", "/1?")),
        open(&url.replace("namespace=", "namespace=x")),
    ];
    let watches: Vec<Watch> = others.iter().map(|other| other.watch("k")).collect();
    let before: Vec<_> = others.iter().map(Store::latest_change).collect();
    one.set("k", text("one")).expect("it writes");
    for (other, before) in others.iter().zip(before) {
        assert_eq!(other.get("k").map(|seen| seen.value), Ok(None));
        assert_eq!(other.latest_change(), before);
    }
    drop(watches);
}

#[test]
fn a_password_works_and_is_never_shown() {
    let Some(server) = own(&["--requirepass", "secret"]) else {
        return;
    };
    let url = |password: &str| server.url().replace("//", &format!("//:{password}@"));
    let store = open(&url("secret"));
    store.set("k", text("one")).expect("it writes");
    assert!(!store.describe().contains("secret"), "{}", store.describe());
    let refused = try_open(&url("hidden")).err().expect("it is wrong");
    assert!(!refused.contains("hidden"), "{refused}");
    assert!(try_open(&server.url()).is_err());
}

#[test]
fn a_namespace_of_a_later_version_is_refused() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let (_, namespace) = url.split_once("namespace=").expect("it has one");
    let words = format!("SET {namespace}:format durable-streams-2");
    command(&mut admin(server), &words);
    let refused = try_open(&url).err().expect("it is refused");
    assert!(refused.contains("durable-streams-2"), "{refused}");
}

/// The data in Redis outlives this program: the next version must read it.
#[test]
fn values_are_kept_as_documented() {
    let Some(server) = shared() else { return };
    let url = new_url(server);
    let (_, namespace) = url.split_once("namespace=").expect("it has one");
    let store = open(&url);
    let set = store.set("k", text("value")).expect("it writes");
    let (_, counted) = store.increment("c", -3).expect("it counts");
    let mut connection = admin(server);
    let mut raw = |key: &str| {
        let key = format!("{namespace}:{key}");
        cmd("GET").arg(key).query::<Option<String>>(&mut connection)
    };
    let expected = |text: String| Ok(Some(text));
    assert_eq!(raw("k:k"), expected(format!("{:016}=value", set.get())));
    assert_eq!(raw("k:c"), expected(format!("{:016}#-3", counted.get())));
    assert_eq!(raw("changes"), expected(format!("{:016}", counted.get())));
    assert_eq!(raw("format"), expected(FORMAT.to_owned()));
    let deleted = store.delete("k").expect("it deletes");
    let gone = format!("gone:{}", crc32c::crc32c(b"k") % shared::SHARDS);
    assert_eq!(raw(&gone), expected(format!("{:016}", deleted.get())));
}
