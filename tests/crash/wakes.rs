//! `kill -9` between append, wake, delivery and ack: workers still get their wakes, and acks stay
//! in force.

use crate::client::{Client, Response};
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const STREAMS: usize = 8;
const BASE: &str = "/v1/stream";
const PATIENCE: Duration = Duration::from_secs(120);
const FLAGS: [&str; 4] = [
    "--variable",
    "webhook_allow_localhost=true",
    "--variable",
    "long_poll_timeout_secs=1",
];

fn rounds() -> u64 {
    match std::env::var("DS_TEST_FULL").as_deref() {
        Ok("1") => 100,
        _ => 12,
    }
}

fn value(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("the body is JSON")
}

fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Result<Response> {
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    client.send(method, &format!("{BASE}/{path}"), &headers, body.as_bytes())
}

/// A worker that claims only after a wake event.
struct Worker {
    /// The worker's offset in the wake stream.
    offset: String,
    announced: BTreeSet<u64>,
    /// Whether it got a wake event, and has no answer to its claim yet.
    claims: bool,
    /// Acknowledged offsets, by path.
    acked: BTreeMap<String, String>,
    /// The previous claim, which is over.
    former: Option<Value>,
    acks: u64,
}

impl Worker {
    /// Works until the server is gone, or `done` returns true.
    fn run(&mut self, address: SocketAddr, progress: &AtomicU64, done: &dyn Fn() -> bool) {
        let worked = Client::connect(address).and_then(|mut client| {
            while !done() {
                self.step(&mut client)?;
                progress.store(self.acks, Ordering::SeqCst);
            }
            Ok(())
        });
        // The server was killed.
        drop(worked);
    }

    fn step(&mut self, client: &mut Client) -> Result<()> {
        if !self.claims {
            self.follow(client)?;
        }
        match self.claims {
            true => self.claim(client),
            false => Ok(()),
        }
    }

    /// Reads the next events of the wake stream.
    fn follow(&mut self, client: &mut Client) -> Result<()> {
        let target = format!("{BASE}/wake?offset={}&live=long-poll", self.offset);
        let page = client.send("GET", &target, &[], b"")?;
        if let Some(next) = page.header("stream-next-offset") {
            next.clone_into(&mut self.offset);
        }
        if page.status != 200 {
            return Ok(());
        }
        for event in value(&page).as_array().expect("events") {
            let generation = event["generation"].as_u64().expect("a number");
            assert!(
                self.announced.insert(generation),
                "{generation} is announced twice"
            );
        }
        self.claims = true;
        Ok(())
    }

    fn claim(&mut self, client: &mut Client) -> Result<()> {
        let claim = json!({"worker": "w"});
        let claimed = send(client, "POST", "__ds/subscriptions/pull/claim", &claim)?;
        self.claims = false;
        if claimed.status != 200 {
            assert_eq!(claimed.status, 409, "{claimed:?}");
            return Ok(());
        }
        let claimed = value(&claimed);
        let mut acks = Vec::new();
        for stream in claimed["streams"].as_array().expect("streams") {
            let text = |name: &str| stream[name].as_str().expect("text").to_owned();
            let path = text("path");
            if let Some(acked) = self.acked.get(&path) {
                assert!(text("acked_offset") >= *acked, "{path} went back");
            }
            acks.push(json!({"stream": path, "offset": text("tail_offset")}));
        }
        if let Some(former) = &self.former {
            let late = ack(client, former, &json!([]))?;
            assert_eq!((late.status, &*late.code()), (409, "FENCED"));
        }
        let acked = ack(client, &claimed, &Value::Array(acks.clone()))?;
        if acked.status == 200 {
            for one in acks {
                let text = |name: &str| one[name].as_str().expect("text").to_owned();
                self.acked.insert(text("stream"), text("offset"));
            }
            self.acks += 1;
        }
        self.former = Some(claimed);
        Ok(())
    }
}

fn ack(client: &mut Client, claimed: &Value, acks: &Value) -> Result<Response> {
    let body = json!({
        "wake_id": claimed["wake_id"], "generation": claimed["generation"],
        "acks": acks, "done": true,
    });
    let token = format!("Bearer {}", claimed["token"].as_str().expect("a token"));
    let headers = [("authorization", &*token)];
    let target = format!("{BASE}/__ds/subscriptions/pull/ack");
    client.send("POST", &target, &headers, body.to_string().as_bytes())
}

/// Receives webhooks, answers each with `done`, and counts them.
fn receiver() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let count = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let lines = reader.by_ref().lines().map_while(std::result::Result::ok);
            let length = lines
                .take_while(|line| !line.is_empty())
                .filter_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    let named = name.eq_ignore_ascii_case("content-length");
                    named.then(|| value.parse::<usize>().ok()).flatten()
                })
                .last();
            let mut body = vec![0; length.unwrap_or(0)];
            if reader.read_exact(&mut body).is_ok() {
                counts.fetch_add(1, Ordering::SeqCst);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"done\":true}";
                // The server may have been killed.
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (url, count)
}

fn append(address: SocketAddr, round: u64, appended: &AtomicU64) {
    let Ok(mut client) = Client::connect(address) else {
        return;
    };
    for number in round.. {
        let target = format!("{BASE}/events/{}", number % STREAMS as u64);
        let headers = [("content-type", "text/plain")];
        match client.send("POST", &target, &headers, b"event") {
            Ok(response) => assert_eq!(response.status, 204, "{response:?}"),
            Err(_) => return,
        }
        appended.fetch_add(1, Ordering::SeqCst);
    }
}

/// Whether a subscription is acked up to the tails of all streams.
fn is_done(address: SocketAddr, id: &str) -> bool {
    let mut client = Client::connect(address).expect("it listens");
    let mut get = |method: &str, path: &str| {
        let response = send(&mut client, method, path, &Value::Null);
        response.expect("it answers")
    };
    let page = value(&get("GET", &format!("__ds/subscriptions/{id}")));
    let streams = page["streams"].as_array().expect("streams").clone();
    assert_eq!(streams.len(), STREAMS, "{page}");
    streams.iter().all(|stream| {
        let head = get("HEAD", stream["path"].as_str().expect("a path"));
        head.header("stream-next-offset") == stream["acked_offset"].as_str()
    })
}

fn set_up(address: SocketAddr, url: &str) {
    let mut client = Client::connect(address).expect("it listens");
    let wake = send(&mut client, "PUT", "wake", &json!([])).expect("it answers");
    assert_eq!(wake.status, 201);
    let pull = json!({
        "type": "pull-wake", "pattern": "events/*", "wake_stream": "wake", "lease_ttl_ms": 1000,
    });
    let hook = json!({
        "type": "webhook", "pattern": "events/*", "webhook": {"url": url}, "lease_ttl_ms": 1000,
    });
    for (id, body) in [("pull", pull), ("hook", hook)] {
        let path = format!("__ds/subscriptions/{id}");
        let created = send(&mut client, "PUT", &path, &body).expect("it answers");
        assert_eq!(created.status, 201, "{created:?}");
    }
    for stream in 0..STREAMS {
        let headers = [("content-type", "text/plain")];
        let target = format!("{BASE}/events/{stream}");
        let created = client.send("PUT", &target, &headers, b"");
        assert_eq!(created.expect("it answers").status, 201);
    }
}

#[test]
fn workers_are_woken_despite_kill_9_at_any_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, delivered) = receiver();
    let mut worker = Worker {
        offset: "-1".to_owned(),
        announced: BTreeSet::new(),
        claims: false,
        acked: BTreeMap::new(),
        former: None,
        acks: 0,
    };
    let appended = AtomicU64::new(0);
    for round in 0..rounds() {
        let mut server = Server::start(directory.path(), &FLAGS);
        let address = server.address;
        if round == 0 {
            set_up(address, &url);
        }
        let before = appended.load(Ordering::SeqCst);
        let acked = AtomicU64::new(worker.acks);
        // Some kills come before the first ack, others in the middle of the traffic.
        let enough = (round * 7919) % 23;
        let first_ack = worker.acks;
        let begun = Instant::now();
        let mut late = false;
        std::thread::scope(|scope| {
            scope.spawn(|| worker.run(address, &acked, &|| false));
            scope.spawn(|| append(address, round, &appended));
            while appended.load(Ordering::SeqCst) < before + 1 + enough
                || acked.load(Ordering::SeqCst) < first_ack + enough / 3
            {
                late = begun.elapsed() > PATIENCE;
                if late {
                    break;
                }
                std::thread::yield_now();
            }
            server.kill();
        });
        assert!(!late, "the worker is not woken");
    }
    // No further append comes: the server finds pending work by itself.
    let server = Server::start(directory.path(), &FLAGS);
    let begun = Instant::now();
    let done = || {
        assert!(begun.elapsed() < PATIENCE, "the last wake was lost");
        is_done(server.address, "pull")
    };
    worker.run(server.address, &AtomicU64::new(0), &done);
    assert!(done());
    while !is_done(server.address, "hook") {
        assert!(begun.elapsed() < PATIENCE, "the last webhook was lost");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    println!(
        "{} kills: {} appends, {} wake events, {} acks; {} webhooks",
        rounds(),
        appended.into_inner(),
        worker.announced.len(),
        worker.acks,
        delivered.load(Ordering::SeqCst),
    );
}
