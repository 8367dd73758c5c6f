//! The claim that an answer makes about a commit holds over stores that lie, forget and fail (see
//! `service/append.rs` and `service/records/election.rs`). Several hosts share one store, each with
//! the real component.

use crate::common::fleet::{Fleet, rounds};
use crate::common::{Response, Stream, concurrently, full, server};
use durable_streams_host::store::{FaultyStore, LatencyStore, MemoryStore, SpinStore, Store};
use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Hosts that share a store.
const HOSTS: usize = 8;
const CREATORS: usize = 8;
const WRITERS: usize = 64;

/// Long enough that operations of other hosts come between two of one host.
const LATENCY: Duration = Duration::from_micros(200);
/// Long enough that some of many writers can't commit in time.
const LONG_LATENCY: Duration = Duration::from_millis(2);

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn slow(store: &Arc<dyn Store>, latency: Duration) -> Arc<dyn Store> {
    Arc::new(LatencyStore::new(Arc::clone(store), latency))
}

/// These tests bring their own stores, so one run for each driver is enough. The short run of all
/// tests has no memory store with `wasi-http`, so that run uses the file store.
fn is_run_elsewhere() -> bool {
    let elsewhere = match &*server::store() {
        "memory" => false,
        "file" => server::via() != "wasi-http",
        _ => true,
    };
    if elsewhere {
        println!("elsewhere: runs with DS_TEST_STORE=memory, and =file through wasi-http");
    }
    elsewhere
}

#[test]
fn over_spin_sqlite_one_of_8_creators_gets_201_and_its_body_is_kept() {
    if is_run_elsewhere() {
        return;
    }
    let sqlite: Arc<dyn Store> = Arc::new(SpinStore::sqlite(memory()));
    // With a registry, creators compete for its entry first, and reach the head one after another.
    let fleet = |latency, registry| {
        let hosts = vec![slow(&sqlite, latency); HOSTS];
        Fleet::start(&hosts, &[("registry", registry)])
    };
    let fleets = [fleet(LATENCY, "true"), fleet(LONG_LATENCY, "false")];
    let rounds = rounds(20, 200);
    let mut counts: HashMap<u16, usize> = HashMap::new();
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let name = format!("created/{round}");
        let fleet = &fleets[round % 2];
        let begun = Instant::now();
        let answers = concurrently(CREATORS, |creator| {
            let kind = ["text/plain", "text/html"][usize::from(creator % 4 == 3)];
            let stream = fleet.stream(creator, &name, kind);
            let put = stream.put().header("Content-Type", kind);
            put.body(format!("body {creator}")).send()
        });
        longest = longest.max(begun.elapsed());
        let created = |creator: &usize| answers[*creator].status == 201;
        let winners: Vec<usize> = (0..CREATORS).filter(created).collect();
        assert_eq!(winners.len(), 1, "round {round}: {answers:?}");
        for answer in &answers {
            assert!(matches!(answer.status, 200 | 201 | 409), "{answer:?}");
            *counts.entry(answer.status).or_default() += 1;
        }
        let body = fleet.stream(round, &name, "").read_all("-1");
        assert_eq!(body, format!("body {}", winners[0]).as_bytes());
    }
    let count = |status| counts.get(&status).copied().unwrap_or_default();
    println!(
        "{rounds} rounds of {CREATORS} creators over spin-sqlite: {} got 201, {} 200, {} 409; the \
         longest round took {longest:?}",
        count(201),
        count(200),
        count(409),
    );
    assert_eq!(count(201), rounds);
}

/// Outcomes that appends reported, and the appends that are in the stream.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    unavailable: usize,
    full: usize,
    unknown: usize,
    unknown_but_there: usize,
    produced: usize,
    repeated: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.unavailable += other.unavailable;
        self.full += other.full;
        self.unknown += other.unknown;
        self.unknown_but_there += other.unknown_but_there;
        self.produced += other.produced;
        self.repeated += other.repeated;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "plain: {} done and there once, {} UNAVAILABLE and {} INSUFFICIENT_STORAGE and not \
             there, {} OUTCOME_UNKNOWN of which {} are there once; with a producer: {} there once, \
             {} of their requests were repeated",
            self.done,
            self.unavailable,
            self.full,
            self.unknown,
            self.unknown_but_there,
            self.produced,
            self.repeated,
        )
    }
}

/// Outcome of one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendResult {
    Done,
    Unavailable,
    Full,
    Unknown,
}

/// Outcome that an answer states by its status, its code and its request for a retry.
pub(crate) fn append_result(answer: &Response) -> AppendResult {
    let retry = answer.header("retry-after").is_some();
    let code = |code: &str| answer.text().contains(&format!("\"{code}\""));
    match (answer.status, retry) {
        (200 | 204, false) => AppendResult::Done,
        (503, true) if code("UNAVAILABLE") => AppendResult::Unavailable,
        (503, false) if code("OUTCOME_UNKNOWN") => AppendResult::Unknown,
        (507, _) if code("INSUFFICIENT_STORAGE") => AppendResult::Full,
        _ => panic!("an append may not get this answer: {answer:?}"),
    }
}

/// A body that no other writer has. Some bodies are larger than a head keeps.
fn body(writer: usize) -> String {
    format!("<{writer}:{}>", "x".repeat(writer * 7 % 150))
}

/// Appends once if `writer` is even, else repeats with a producer until the append is
/// done. Returns the outcome and the number of repeats.
fn append(stream: &Stream, writer: usize) -> (AppendResult, usize) {
    let post = stream.post(body(writer));
    if writer.is_multiple_of(2) {
        return (append_result(&post.send()), 0);
    }
    let post = post.producer(&format!("writer-{writer}"), 0, 0);
    let tries = 1000;
    let done = (0..tries).position(|_| append_result(&post.send()) == AppendResult::Done);
    let repeated = done.unwrap_or_else(|| panic!("not done after {tries} tries"));
    (AppendResult::Done, repeated)
}

/// Spells one letter of a name as an escape, so that the host does not commit the appends of all
/// its clients together.
fn spelled(name: &str, letter: usize) -> String {
    let (before, rest) = name.split_at(letter);
    let escaped = rest
        .chars()
        .next()
        .map(|letter| format!("%{:02X}", u32::from(letter)));
    format!("{before}{}{}", escaped.unwrap_or_default(), &rest[1..])
}

/// 64 concurrent appends through hosts that share a store. `land` ends all operations under way,
/// and the last host of the fleet reads the stream.
fn round(fleet: &Fleet, name: &str, land: &dyn Fn()) -> Tally {
    let calm = fleet.stream(HOSTS, name, "text/plain");
    calm.create();
    let answers = concurrently(WRITERS, |writer| {
        // Two of a host's eight appends may be committed together.
        let name = spelled(name, writer / HOSTS / 2);
        append(&fleet.stream(writer % HOSTS, &name, "text/plain"), writer)
    });
    land();
    let text = String::from_utf8(calm.read_all("-1")).expect("text");
    let mut there: HashMap<&str, usize> = HashMap::new();
    for body in text.split_inclusive('>') {
        *there.entry(body).or_default() += 1;
    }
    let mut tally = Tally::default();
    for (writer, (result, repeated)) in answers.into_iter().enumerate() {
        let times = there.remove(&*body(writer)).unwrap_or_default();
        let expected = match result {
            AppendResult::Done => 1..=1,
            AppendResult::Unavailable | AppendResult::Full => 0..=0,
            AppendResult::Unknown => 0..=1,
        };
        assert!(
            expected.contains(&times),
            "{name}: writer {writer} got {result:?}, and its append is there {times} times"
        );
        match result {
            AppendResult::Done if writer.is_multiple_of(2) => tally.done += 1,
            AppendResult::Done => tally.produced += 1,
            AppendResult::Unavailable => tally.unavailable += 1,
            AppendResult::Full => tally.full += 1,
            AppendResult::Unknown => tally.unknown += 1,
        }
        tally.repeated += repeated;
        tally.unknown_but_there += usize::from(result == AppendResult::Unknown) * times;
    }
    assert!(there.is_empty(), "{name}: torn or invented: {there:?}");
    tally
}

/// Runs `rounds` rounds over `store`. `calm` is the same store without injected faults.
fn compete(
    rounds: usize,
    store: &Arc<dyn Store>,
    calm: &Arc<dyn Store>,
    land: &dyn Fn(),
    variables: &[(&str, &str)],
) -> Tally {
    let description = store.describe();
    let mut stores = vec![Arc::clone(store); HOSTS];
    stores.push(Arc::clone(calm));
    let fleet = Fleet::start(&stores, variables);
    let mut sum = Tally::default();
    for number in 0..rounds {
        sum += round(&fleet, &format!("appended/{number}"), land);
    }
    println!("{rounds} rounds of {WRITERS} appends over {description}: {sum}");
    let plain = sum.done + sum.unavailable + sum.full + sum.unknown;
    assert_eq!(plain, rounds * WRITERS / 2);
    assert_eq!(sum.produced, rounds * WRITERS / 2);
    sum
}

/// Seals often, so that appends write chunks, too.
const SMALL_TAIL: (&str, &str) = ("inline_tail_bytes", "256");

#[test]
fn over_spin_redis_each_of_64_appends_is_there_as_its_answer_says() {
    if is_run_elsewhere() {
        return;
    }
    let redis: Arc<dyn Store> = Arc::new(SpinStore::redis(memory()));
    let store = slow(&redis, LATENCY);
    let sum = compete(rounds(10, 200), &store, &redis, &|| {}, &[SMALL_TAIL]);
    assert_eq!(sum.full, 0);
    assert!(sum.done > 0);
}

/// Long enough for some tries, and short enough that some appends give up.
const SHORT_DEADLINE: (&str, &str) = ("commit_deadline_ms", "100");

#[test]
fn with_faults_each_of_64_appends_is_there_as_its_answer_says() {
    if is_run_elsewhere() {
        return;
    }
    let stores: [fn() -> Arc<dyn Store>; 4] = [
        memory,
        memory,
        || Arc::new(SpinStore::sqlite(memory())),
        || Arc::new(SpinStore::redis(memory())),
    ];
    let mut all = Tally::default();
    for (seed, new) in (1..).zip(stores) {
        let calm = new();
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&calm), seed));
        let store: Arc<dyn Store> = faulty.clone();
        let variables = [SMALL_TAIL, SHORT_DEADLINE];
        let land = || faulty.land();
        let store = slow(&store, LONG_LATENCY);
        all += compete(rounds(3, 50), &store, &calm, &land, &variables);
    }
    println!("in all: {all}");
    assert!(all.done > 0 && all.unavailable + all.full + all.unknown > 0);
    // A short run need not meet every outcome.
    assert!(!full() || (all.unavailable > 0 && all.full > 0 && all.unknown > 0));
}
