//! The host as a child process on a free port.
//!
//! `DS_TEST_VIA` says which way it calls the component: `exchange` (as when absent), `wasi-http` or
//! `wasi-http-p2`;
//! `DS_TEST_STORE` what is passed to `--store`: `memory` when absent, `file` for a directory of the
//! server's own, and `redis` for a namespace of its own in a Redis that is started for the purpose.

use super::{HOST, PATIENCE, Request, Stream};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tempfile::TempDir;
use test_support::{RedisServer, redis_program};

/// Variables that a server named by `DS_TEST_URL` has: tests that ask for no others run against it.
const VARIABLES_AT_URL: [(&str, &str); 2] = [
    ("long_poll_timeout_secs", "1"),
    ("webhook_allow_localhost", "true"),
];

/// The server that already runs, if the tests are to run against one.
fn running() -> Option<SocketAddr> {
    let url = variable("DS_TEST_URL")?;
    let address = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let address = address.and_then(|address| address.parse().ok());
    Some(address.expect("DS_TEST_URL is like http://127.0.0.1:3000"))
}

/// A variable of this run, unless it is absent or empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Which way the host calls the component in this run.
pub(crate) fn via() -> String {
    variable("DS_TEST_VIA").unwrap_or_else(|| "exchange".to_owned())
}

/// The store of this run.
pub(crate) fn store() -> String {
    variable("DS_TEST_STORE").unwrap_or_else(|| "memory".to_owned())
}

/// What the host printed on standard error.
type Lines = Arc<Mutex<Vec<String>>>;

/// A running server. Dropping it kills it, unless it ran before.
#[derive(Debug)]
pub(crate) struct ServerUnderTest {
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    log: Lines,
    names: AtomicU64,
    /// The first segment of the names of its streams.
    directory: String,
    /// Where its streams are; removed with it.
    _directory: Option<TempDir>,
}

/// The server of all tests that need nothing special; its long-polls wait a second at most.
pub(crate) fn shared() -> &'static ServerUnderTest {
    static SHARED: LazyLock<ServerUnderTest> = LazyLock::new(|| {
        if let Some(address) = running() {
            return ServerUnderTest::at(address);
        }
        let (mut host, directory) = serve(&[("long_poll_timeout_secs", "1")]);
        // A static is never dropped. The shell's standard input ends when this process does.
        let mut guard = Command::new("sh");
        let script = r#"
            "$@" </dev/null & server=$!
            cat >/dev/null
            kill -KILL "$server"
            wait "$server"
            [ -z "$directory" ] || rm -r "$directory""#;
        if let Some(directory) = &directory {
            guard.env("directory", directory.path());
        }
        guard.args(["-c", script, "guard"]).arg(host.get_program());
        guard.args(host.get_args()).envs(
            host.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        for (name, value) in host.get_envs() {
            if value.is_none() {
                guard.env_remove(name);
            }
        }
        host = guard;
        host.stdin(Stdio::piped());
        ServerUnderTest::spawn(host, directory)
    });
    &SHARED
}

/// A Redis with these settings.
pub(crate) fn new_redis(settings: &[&str]) -> RedisServer {
    let program = redis_program().unwrap_or_else(|why| panic!("DS_TEST_STORE=redis: {why}"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    RedisServer::start(&program, directory, settings).expect("redis starts")
}

/// A namespace that nobody used, in the Redis of all servers that need nothing special of it.
fn new_namespace() -> String {
    static REDIS: LazyLock<RedisServer> = LazyLock::new(|| new_redis(&[]));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}?namespace=test.{count}", REDIS.url())
}

fn serve(variables: &[(&str, &str)]) -> (Command, Option<TempDir>) {
    let (mut store, mut directory) = (store(), None);
    if store == "redis" {
        store = new_namespace();
    }
    if store == "file" {
        let made = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        store = format!("file:{}", made.path().display());
        directory = Some(made);
    }
    (serve_from(&store, variables), directory)
}

fn serve_from(store: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = HOST.command();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--store", store, "--via", &via()]);
    command.arg("--component").arg(HOST.component(&via()));
    for (name, value) in variables {
        command.args(["--variable", &format!("{name}={value}")]);
    }
    command
}

/// Says that the test of this thread is skipped.
fn skip(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    println!("skipped: {name}: {why}");
}

impl ServerUnderTest {
    /// A server of its own, for tests that need other variables. Nothing where the tests run against
    /// a server that has others: the test is skipped, which is printed.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Option<Self> {
        match running() {
            None => Some(Self::start_own(variables)),
            Some(address) if variables.iter().all(|one| VARIABLES_AT_URL.contains(one)) => {
                Some(Self::at(address))
            }
            Some(_) => {
                skip(&format!(
                    "it needs a server with the variables {variables:?}"
                ));
                None
            }
        }
    }

    /// A server of our own host, for tests of `what` only that has; see [`Self::start`].
    pub(crate) fn start_native(variables: &[(&str, &str)], what: &str) -> Option<Self> {
        match running() {
            None => Some(Self::start_own(variables)),
            Some(_) => {
                skip(&format!("it needs the native host for {what}"));
                None
            }
        }
    }

    /// A server of its own, for tests that end it or read its log.
    pub(crate) fn start_own(variables: &[(&str, &str)]) -> Self {
        let (command, directory) = serve(variables);
        Self::spawn(command, directory)
    }

    /// A server over this store, which others may have too.
    pub(crate) fn start_over(store: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(serve_from(store, variables), None)
    }

    /// The same, or its log where it does not start.
    pub(crate) fn try_over(store: &str) -> Result<Self, Vec<String>> {
        Self::try_spawn(serve_from(store, &[]), None)
    }

    /// A server of its own with flags besides; see [`Self::start`].
    pub(crate) fn start_with_arguments(
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Option<Self> {
        if running().is_some() {
            skip(&format!("it needs a server with the flags {arguments:?}"));
            return None;
        }
        let (mut command, directory) = serve(variables);
        command.args(arguments);
        Some(Self::spawn(command, directory))
    }

    /// A server that runs already.
    fn at(address: SocketAddr) -> Self {
        Self {
            child: None,
            address,
            log: Lines::default(),
            names: AtomicU64::new(0),
            // It has the streams of earlier runs.
            directory: format!("test-{:x}", getrandom::u64().expect("random bits")),
            _directory: None,
        }
    }

    /// The same with variables of the environment besides.
    pub(crate) fn start_with_environment(
        variables: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let (mut command, directory) = serve(variables);
        command.envs(environment.iter().copied());
        Self::spawn(command, directory)
    }

    fn spawn(command: Command, directory: Option<TempDir>) -> Self {
        Self::try_spawn(command, directory).unwrap_or_else(|log| panic!("it ended: {log:?}"))
    }

    fn try_spawn(mut command: Command, directory: Option<TempDir>) -> Result<Self, Vec<String>> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Lines::default();
        let errors = child.stderr.take().map(|errors| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for line in BufReader::new(errors).lines().map_while(Result::ok) {
                    log.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            })
        });
        let (sender, receiver) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Some((_, url)) = line.split_once("listening on http://") {
                        // Later lines have no one to go to.
                        let _ = sender.send(url.trim().to_owned());
                    }
                }
            });
        }
        let mut server = Self {
            child: Some(child),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            log,
            names: AtomicU64::new(0),
            directory: "test".to_owned(),
            _directory: directory,
        };
        match receiver.recv_timeout(PATIENCE) {
            Ok(address) => server.address = address.parse().expect("it prints an address"),
            Err(RecvTimeoutError::Timeout) => panic!("it does not listen: {:?}", server.log()),
            Err(RecvTimeoutError::Disconnected) => {
                // It ended: all that it said is read.
                let read = errors.map(std::thread::JoinHandle::join);
                assert!(read.is_none_or(|read| read.is_ok()));
                return Err(server.log());
            }
        }
        Ok(server)
    }

    /// A name that nobody used, for a stream of this content type.
    pub(crate) fn name(&self, content_type: &str) -> Stream {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        Stream {
            address: self.address,
            path: format!("/v1/stream/{}/{number}", self.directory),
            content_type: content_type.to_owned(),
        }
    }

    /// A new stream.
    #[track_caller]
    pub(crate) fn stream(&self, content_type: &str) -> Stream {
        let stream = self.name(content_type);
        stream.create();
        stream
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    /// What it printed on standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Its process, if that is the test's own.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Sends a signal by its name, such as TERM.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().expect("it is the test's own");
        let status = Command::new("kill")
            .args([format!("-{name}"), id.to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        super::eventually("the server ends", || {
            let child = self.child.as_mut().expect("it is the test's own");
            ended = child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        ended.expect("it ended")
    }

    /// Demands that it still answers and that no instance was lost.
    #[track_caller]
    pub(crate) fn expect_alive(&self) {
        self.request("GET", "/health").send().expect(200);
        let stream = self.stream("text/plain");
        stream.append("alive");
        assert_eq!(stream.read_all("-1"), b"alive");
        let log = self.log();
        let lost = log.iter().find(|line| {
            [
                "trap",
                "panicked",
                "wasm backtrace",
                "instance replaced",
                "instance ended",
            ]
            .iter()
            .any(|word| line.contains(word))
        });
        assert_eq!(lost, None, "an instance was lost");
    }
}

impl Drop for ServerUnderTest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let last = log.len().saturating_sub(40);
            println!(
                "last lines of the server's log:\n{}",
                log[last..].join("\n")
            );
        }
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
