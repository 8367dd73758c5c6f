//! Backups over HTTP, of stores that go on.

use super::answer::{answer, is_backup};
use super::disk::{BackupError, Source, restore, take};
use super::open::{Backups, Patience};
use super::remote::Remote;
use crate::answers::ResponseBody;
use crate::limits::BACKUPS;
use crate::store::log::faults::FaultyFiles;
use crate::store::log::{Change, Files, Log, Options, SystemFiles};
use crate::store::{ChangeNumber, FileStore, MemoryStore, Snapshots, Store};
use bytes::Bytes;
use durable_streams_edge::protocol::problem::Problem;
use futures::executor::block_on;
use futures::future::ready;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;

/// A listener that serves backups as the admin listener does.
struct TestServer {
    address: SocketAddr,
    backups: Arc<Backups>,
    /// Number of requests.
    requests: Arc<AtomicU64>,
    _runtime: tokio::runtime::Runtime,
}

/// Answers one request. With `cut`, the connection breaks after the first piece of a segment.
fn answered(backups: &Arc<Backups>, request: &http::Request<Incoming>, cut: bool) -> Answer {
    let (method, uri) = (request.method(), request.uri());
    assert!(is_backup(uri.path()), "{uri}");
    match answer(backups, method, uri.path(), uri.query()) {
        Ok(response) if cut => response.map(|body| {
            let broken = std::iter::once(Err(std::io::Error::other("cut")));
            let frames = http_body_util::BodyStream::new(body);
            let first = futures::StreamExt::take(frames, 1);
            let first =
                futures::StreamExt::map(first, |frame| frame.map_err(std::io::Error::other));
            let broken = futures::stream::iter(broken);
            BodyExt::boxed_unsync(StreamBody::new(futures::StreamExt::chain(first, broken)))
        }),
        Ok(response) => response.map(|body| body.map_err(std::io::Error::other).boxed_unsync()),
        Err(problem) => {
            let body = Full::new(Bytes::from(problem.body(None)));
            let body = body.map_err(std::io::Error::other).boxed_unsync();
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::from_u16(problem.status()).expect("a status");
            response
        }
    }
}

type Answer = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>>;

impl TestServer {
    fn of(backups: Arc<Backups>, cuts: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("it listens");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicU64::new(0));
        let (served, count) = (Arc::clone(&backups), Arc::clone(&requests));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, count) = (Arc::clone(&served), Arc::clone(&count));
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    let segment = request.uri().path().split('/').count() == 4;
                    let cut = cuts && segment && number % 2 == 0;
                    ready(Ok::<_, std::io::Error>(answered(&served, &request, cut)))
                });
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new();
                    // The client may break the connection.
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            backups,
            requests,
            _runtime: runtime,
        }
    }

    fn begin(&self) -> Result<Remote, BackupError> {
        Remote::begin(&format!("http://{}", self.address), None)
    }
}

fn take_into(source: &mut dyn Source, dest: &Path) -> Result<(), BackupError> {
    let taken = take(source, dest, &SystemFiles, SystemTime::now(), &mut |_| ());
    taken.map(drop)
}

fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    }
}

fn file_store(directory: &Path) -> FileStore {
    let files = Arc::new(SystemFiles);
    let opened = FileStore::open(directory, files, small(), |_| false, 0);
    opened.expect("it opens").0
}

/// Restores a backup and returns the numbers that its keys have.
fn numbers(dest: &Path) -> BTreeMap<String, u64> {
    let new = tempfile::tempdir().expect("a directory");
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let (from, now) = (Arc::clone(&files), SystemTime::now());
    restore(dest, from, new.path(), files, now, &mut |_| ()).expect("restores");
    let store = file_store(new.path());
    let mut numbers = BTreeMap::new();
    for key in 0..KEYS {
        let key = format!("k{key}");
        if let Some(value) = store.get(&key).expect("reads").value {
            let number = value.first_chunk().copied().map(u64::from_le_bytes);
            numbers.insert(key, number.expect("a number"));
        }
    }
    numbers
}

const KEYS: u64 = 20;
/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);
const LONG: Patience = Patience {
    idle: HOUR,
    silence: HOUR,
};

/// A writer writes the numbers from 1 on, each to the next key. A store of one moment has the last
/// number of each key up to some number.
fn expect_prefix(numbers: &BTreeMap<String, u64>) -> u64 {
    let newest = numbers.values().copied().max().unwrap_or(0);
    for key in 0..KEYS {
        let last = (newest.saturating_sub(KEYS - 1)..=newest).find(|number| number % KEYS == key);
        let last = last.filter(|number| *number > 0);
        let found = numbers.get(&format!("k{key}")).copied();
        assert_eq!(found, last, "k{key}, the newest is {newest}");
    }
    newest
}

#[test]
fn a_backup_of_a_busy_store_has_every_change_acknowledged_before_and_is_of_one_moment() {
    let (directory, dest) = (tempfile::tempdir(), tempfile::tempdir());
    let (directory, dest) = (directory.expect("one"), dest.expect("one"));
    let store = Arc::new(file_store(directory.path()));
    let server = TestServer::of(Backups::new(&*store), true);
    let (written, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                written.store(number, Ordering::SeqCst);
                let mut value = vec![number as u8; 3000];
                value[..8].copy_from_slice(&number.to_le_bytes());
                let key = format!("k{}", number % KEYS);
                let changed = store.set(&key, value.into()).expect("writes");
                // Several changes share a batch.
                if number % 7 == 0 {
                    block_on(store.settle(changed)).expect("settles");
                    acknowledged.store(number, Ordering::SeqCst);
                }
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 1000 {
            std::thread::yield_now();
        }
        for _ in 0..4 {
            let before = acknowledged.load(Ordering::SeqCst);
            let mut source = server.begin().expect("begins");
            let begun = written.load(Ordering::SeqCst);
            // The store goes on meanwhile, and compacts.
            while written.load(Ordering::SeqCst) < begun + 500 {
                std::thread::yield_now();
            }
            take_into(&mut source, dest.path()).expect("backs up");
            let newest = expect_prefix(&numbers(dest.path()));
            assert!(
                (before..=begun).contains(&newest),
                "{newest} is not in {before}..={begun}"
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(server.requests.load(Ordering::Relaxed) > 8);
}

/// A log whose values are replaced, so that most segments can be removed.
fn replaced(files: &FaultyFiles) -> Arc<Log> {
    let path = Path::new("/store");
    let log = Log::open(path, Arc::new(files.clone()), small());
    let log = log.expect("opens").0;
    for sequence in 1..60 {
        commit(&log, sequence, 30_000);
    }
    Arc::new(log)
}

fn commit(log: &Log, sequence: u64, length: usize) {
    let change = Change {
        key: "key".into(),
        value: Some(vec![1; length].into()),
        sequence: ChangeNumber::new(sequence),
    };
    log.commit(&[change]).expect("commits");
}

/// Backups of a log, with these times without a request.
fn backups_of(log: &Arc<Log>, patience: Patience) -> Arc<Backups> {
    let log = Arc::clone(log);
    Backups::of(Some(Snapshots::new(move || log.snapshot())), 0, patience)
}

#[test]
fn a_nearly_full_disk_ends_a_backup_with_that_reason_and_the_next_one_continues_it() {
    let files = FaultyFiles::default();
    let log = replaced(&files);
    let server = TestServer::of(backups_of(&log, LONG), false);
    let dest = tempfile::tempdir().expect("a directory");
    let mut source = server.begin().expect("begins");
    while log.compact().expect("compacts") {}
    files.leave_room(0);
    // The room of the pinned segments goes to this change.
    commit(&log, 100, 60_000);
    let failed = take_into(&mut source, dest.path());
    let why = failed.expect_err("its segments are gone").to_string();
    assert!(
        why.contains("nearly full") && why.contains("again"),
        "{why}"
    );
    drop(source);
    let mut source = server.begin().expect("begins");
    take_into(&mut source, dest.path()).expect("backs up");
}

#[tokio::test]
async fn a_backup_without_requests_ends_after_a_while() {
    let log = replaced(&FaultyFiles::default());
    let backups = backups_of(
        &log,
        Patience {
            idle: Duration::from_millis(20),
            ..LONG
        },
    );
    let (id, segment) = begin(&backups).await;
    while backups.count() > 0 {
        tokio::task::yield_now().await;
    }
    let (status, body) = get(&backups, &format!("/backup/{id}/{segment}"), None).await;
    assert_eq!(status, 404, "{body}");
    assert!(body.contains("no request came for a minute"), "{body}");
}

async fn begin(backups: &Arc<Backups>) -> (String, u64) {
    let (status, body) = ask(backups, &Method::POST, "/backup", None).await;
    assert_eq!(status, 200, "{body}");
    let begun: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let id = begun["id"].as_str().expect("an id").to_owned();
    let segment = begun["segments"][0]["segment"].as_u64();
    (id, segment.expect("a segment"))
}

async fn get(backups: &Arc<Backups>, path: &str, query: Option<&str>) -> (u16, String) {
    ask(backups, &Method::GET, path, query).await
}

async fn ask(
    backups: &Arc<Backups>,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> (u16, String) {
    let answered: Result<Response<ResponseBody>, Problem> = answer(backups, method, path, query);
    match answered {
        Ok(response) => {
            assert_eq!(response.headers()["cache-control"], "no-store");
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.expect("a whole body");
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            (status, body)
        }
        Err(problem) => (problem.status(), problem.detail),
    }
}

#[tokio::test]
async fn wrong_requests_are_refused_each_with_its_status() {
    let log = replaced(&FaultyFiles::default());
    let backups = backups_of(&log, LONG);
    let (id, segment) = begin(&backups).await;
    let known = format!("/backup/{id}/{segment}");
    for (method, path, query, status) in [
        (Method::GET, "/backup".to_owned(), None, 405),
        (Method::GET, format!("/backup/{id}"), None, 405),
        (Method::DELETE, known.clone(), None, 405),
        (Method::GET, "/backup/x/1".to_owned(), None, 404),
        (Method::DELETE, "/backup/x".to_owned(), None, 404),
        (Method::GET, format!("{known}/digest/x"), None, 404),
        (Method::GET, format!("/backup/{id}/999"), None, 400),
        (Method::GET, format!("/backup/{id}/x"), None, 400),
        (Method::GET, format!("/backup/{id}/-1"), None, 400),
        (Method::GET, known.clone(), Some("from=x"), 400),
        (Method::GET, known.clone(), Some("to=1"), 400),
        (Method::GET, known.clone(), Some("from=99999999"), 400),
        (
            Method::GET,
            format!("{known}/digest"),
            Some("bytes=99999999"),
            400,
        ),
        (
            Method::GET,
            format!("{known}/digest"),
            Some("bytes=10"),
            200,
        ),
        (Method::GET, known.clone(), Some("from=10"), 200),
        (Method::DELETE, format!("/backup/{id}"), None, 204),
        (Method::GET, known, None, 404),
    ] {
        let (found, body) = ask(&backups, &method, &path, query).await;
        assert_eq!(found, status, "{method} {path} {query:?}: {body}");
    }
    for (path, is) in [
        ("/backup", true),
        ("/backup/x", true),
        ("/backups", false),
        ("/", false),
    ] {
        assert_eq!(is_backup(path), is, "{path}");
    }
}

#[tokio::test]
async fn only_a_few_backups_are_taken_at_a_time() {
    let log = replaced(&FaultyFiles::default());
    let backups = backups_of(&log, LONG);
    let (first, _) = begin(&backups).await;
    for _ in 1..BACKUPS {
        begin(&backups).await;
    }
    let (status, body) = ask(&backups, &Method::POST, "/backup", None).await;
    assert_eq!(status, 429, "{body}");
    let (status, _) = ask(&backups, &Method::DELETE, &format!("/backup/{first}"), None).await;
    assert_eq!(status, 204);
    begin(&backups).await;
}

/// A client that is killed and run again a few times must not be locked out for a minute.
#[tokio::test]
async fn a_silent_backup_makes_room_for_another_one() {
    let log = replaced(&FaultyFiles::default());
    let backups = backups_of(
        &log,
        Patience {
            silence: Duration::from_millis(20),
            ..LONG
        },
    );
    let (first, segment) = begin(&backups).await;
    for _ in 1..BACKUPS {
        begin(&backups).await;
    }
    while !backups.has_room() {
        tokio::task::yield_now().await;
    }
    begin(&backups).await;
    assert_eq!(backups.count(), BACKUPS);
    let (status, _) = get(&backups, &format!("/backup/{first}/{segment}"), None).await;
    assert_eq!(status, 404, "the oldest one ended");
}

#[test]
fn a_client_that_is_done_ends_its_backup() {
    let log = replaced(&FaultyFiles::default());
    let server = TestServer::of(backups_of(&log, LONG), false);
    for _ in 0..=2 * BACKUPS {
        let source = server.begin().expect("there is room");
        assert!(server.backups.has_room());
        drop(source);
    }
}

#[test]
fn a_store_that_is_not_in_files_says_so() {
    let server = TestServer::of(Backups::new(&MemoryStore::new()), false);
    let why = server.begin().err().expect("refused").to_string();
    assert!(why.contains("not in files"), "{why}");
}

#[test]
fn a_url_without_a_server_is_reported_with_advice() {
    let refused = |admin: &str| {
        let refused = Remote::begin(admin, None).err();
        refused.expect("refused").to_string()
    };
    for admin in ["", "127.0.0.1:4438", "unix:/x", "ftp://127.0.0.1"] {
        let why = refused(admin);
        assert!(why.contains("http://127.0.0.1:4438"), "{admin}: {why}");
    }
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("it listens");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let why = refused(&format!("http://{address}"));
    assert!(why.contains("admin listener"), "{why}");
}
