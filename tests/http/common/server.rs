//! The host as a child process on a free port.
//!
//! `DS_TEST_VIA` selects the interface of the component that the host calls: `exchange` (the default),
//! `wasi-http` or `wasi-http-p2`. `DS_TEST_STORE` is the value of `--store`: `memory` is the default.
//! `file` gives each server its own directory. `redis` gives each server its own namespace in a Redis
//! that the tests start.

use super::{HOST, PATIENCE, Request, Stream};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tempfile::TempDir;
use test_support::{RedisServer, redis_program};

/// Variables of the server at `DS_TEST_URL`. Tests that need no other variables run against it.
const VARIABLES_AT_URL: [(&str, &str); 2] = [
    ("long_poll_timeout_secs", "1"),
    ("webhook_allow_localhost", "true"),
];

/// Returns the address of the server that `DS_TEST_URL` names, if it is set.
fn running() -> Option<SocketAddr> {
    let url = variable("DS_TEST_URL")?;
    let address = url
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'));
    let address = address.and_then(|address| address.parse().ok());
    Some(address.expect("DS_TEST_URL is like http://127.0.0.1:3000"))
}

/// Returns a variable of this run, unless it is absent or empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the interface of the component that the host calls in this run.
pub(crate) fn via() -> String {
    variable("DS_TEST_VIA").unwrap_or_else(|| "exchange".to_owned())
}

/// Returns the store of this run.
pub(crate) fn store() -> String {
    variable("DS_TEST_STORE").unwrap_or_else(|| "memory".to_owned())
}

/// Whether swaps of this run's store say if they applied. Those of Spin over Redis fail either way.
pub(crate) fn swaps_are_sure() -> bool {
    let is_sure = store() != "spin-redis";
    if !is_sure {
        println!("skipped: swaps of spin-redis do not say if they applied");
    }
    is_sure
}

/// Lines that the host printed on standard error.
type Lines = Arc<Mutex<Vec<String>>>;

/// A running server. Dropping this value kills the server, unless the server ran before the tests.
#[derive(Debug)]
pub(crate) struct ServerUnderTest {
    child: Option<Child>,
    /// The first address; unspecified if that is a Unix socket.
    pub(crate) address: SocketAddr,
    /// Every address that the server printed, in order.
    listening: Lines,
    /// The address of the admin listener, if the server has one.
    admin: Option<SocketAddr>,
    log: Lines,
    /// The thread that reads the log.
    reader: Option<std::thread::JoinHandle<()>>,
    names: AtomicU64,
    /// First segment of the names of the server's streams.
    directory: String,
    /// Directory of the server's streams, removed with this value.
    _directory: Option<TempDir>,
}

/// Returns the server shared by all tests without special needs. Its long-polls wait at most a second.
pub(crate) fn shared() -> &'static ServerUnderTest {
    static SHARED: LazyLock<ServerUnderTest> = LazyLock::new(|| {
        if let Some(address) = running() {
            return ServerUnderTest::at(address);
        }
        let (mut host, directory) = serve(&[("long_poll_timeout_secs", "1")]);
        // A static is never dropped, so a shell kills the server. The shell's standard input ends when
        // this process ends.
        let script = r#"
            "$@" </dev/null & server=$!
            cat >/dev/null
            kill -KILL "$server"
            wait "$server"
            [ -z "$directory" ] || rm -r "$directory""#;
        host = within_shell(script, &host);
        if let Some(directory) = &directory {
            host.env("directory", directory.path());
        }
        host.stdin(Stdio::piped());
        ServerUnderTest::spawn(host, directory)
    });
    &SHARED
}

/// Starts a Redis with these settings.
pub(crate) fn new_redis(settings: &[&str]) -> RedisServer {
    let program = redis_program().unwrap_or_else(|why| panic!("DS_TEST_STORE=redis: {why}"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    RedisServer::start(&program, directory, settings).expect("redis starts")
}

/// Returns an unused namespace, in the Redis shared by servers that need no special settings.
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

/// A script of the shell that gets the command as its arguments.
fn within_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Prints that the test of this thread is skipped.
fn skip(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    println!("skipped: {name}: {why}");
}

impl ServerUnderTest {
    /// Starts a server with these variables. Returns nothing if the server at `DS_TEST_URL` lacks one
    /// of them. Then it prints that the test is skipped.
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

    /// Starts our own host, for tests of a `feature` of this host alone; see [`Self::start`].
    pub(crate) fn start_native(variables: &[(&str, &str)], feature: &str) -> Option<Self> {
        match running() {
            None => Some(Self::start_own(variables)),
            Some(_) => {
                skip(&format!("it needs the native host for {feature}"));
                None
            }
        }
    }

    /// Starts a server for one test that ends it or reads its log.
    pub(crate) fn start_own(variables: &[(&str, &str)]) -> Self {
        let (command, directory) = serve(variables);
        Self::spawn(command, directory)
    }

    /// Starts a server over this store. Other servers may use the store too.
    pub(crate) fn start_over(store: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(serve_from(store, variables), None)
    }

    /// Starts a server over this store with additional flags.
    pub(crate) fn start_over_with(store: &str, arguments: &[&str]) -> Self {
        let mut command = serve_from(store, &[]);
        command.args(arguments);
        Self::spawn(command, None)
    }

    /// Starts a server over this store. Returns its log if it does not start.
    pub(crate) fn try_over(store: &str) -> Result<Self, Vec<String>> {
        Self::try_spawn(serve_from(store, &[]), None)
    }

    /// Starts a server with additional flags; see [`Self::start`].
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

    /// Starts a server that opens no socket and gets this one, as systemd passes it. It sends its
    /// notifications to `notify`. Returns nothing where the tests have a server already.
    pub(crate) fn start_with_socket(socket: OwnedFd, notify: &Path) -> Option<Self> {
        if running().is_some() {
            skip("it needs a server with a passed socket");
            return None;
        }
        let mut host = HOST.command();
        host.args(["serve", "--store", "memory", "--via", &via()]);
        host.arg("--component").arg(HOST.component(&via()));
        let script = r#"
            exec 3<&0 </dev/null
            export LISTEN_FDS=1 LISTEN_PID=$$
            exec "$@""#;
        let mut shell = within_shell(script, &host);
        shell.env("NOTIFY_SOCKET", notify).stdin(socket);
        Some(Self::spawn(shell, None))
    }

    /// Starts a server whose standard error is this pipe, with a default admin listener. The test reads
    /// the pipe. Returns nothing where the tests have a server already.
    pub(crate) fn start_with_stderr(stderr: OwnedFd, variables: &[(&str, &str)]) -> Option<Self> {
        if running().is_some() {
            skip("it needs a server with a pipe of its own");
            return None;
        }
        let (host, directory) = serve(variables);
        let mut shell = within_shell(r#"exec 2>&0 </dev/null; exec "$@""#, &host);
        shell.args(["--admin", "127.0.0.1:0"]).stdin(stderr);
        let server = Self::try_start(shell, directory);
        Some(server.unwrap_or_else(|log| panic!("it ended: {log:?}")))
    }

    /// Returns the server that already runs at an address.
    fn at(address: SocketAddr) -> Self {
        Self {
            child: None,
            address,
            listening: Lines::default(),
            admin: None,
            log: Lines::default(),
            reader: None,
            names: AtomicU64::new(0),
            // The server may still have streams of earlier runs.
            directory: format!("test-{:x}", getrandom::u64().expect("random bits")),
            _directory: None,
        }
    }

    /// Starts a server with variables for the component and additional variables of the environment.
    pub(crate) fn start_with_environment(
        variables: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> Self {
        let (mut command, directory) = serve(variables);
        command.envs(environment.iter().copied());
        Self::spawn(command, directory)
    }

    /// Returns the command of a server for one test, without an admin listener.
    pub(crate) fn command(variables: &[(&str, &str)]) -> Command {
        let mut command = serve_from("memory", variables);
        command.args(["--admin", "off"]);
        command
    }

    /// Starts a server by this command, with its default admin listener.
    pub(crate) fn start_command(command: Command) -> Self {
        Self::try_start(command, None).unwrap_or_else(|log| panic!("it ended: {log:?}"))
    }

    /// Starts a server with these arguments of `serve` and no others.
    pub(crate) fn start_alone(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = HOST.command();
        command.arg("serve").args(arguments);
        command.envs(environment.iter().copied());
        Self::spawn(command, None)
    }

    fn spawn(command: Command, directory: Option<TempDir>) -> Self {
        Self::try_spawn(command, directory).unwrap_or_else(|log| panic!("it ended: {log:?}"))
    }

    fn try_spawn(mut command: Command, directory: Option<TempDir>) -> Result<Self, Vec<String>> {
        if !command.get_args().any(|argument| argument == "--admin") {
            command.args(["--admin", "off"]);
        }
        Self::try_start(command, directory)
    }

    fn try_start(mut command: Command, directory: Option<TempDir>) -> Result<Self, Vec<String>> {
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
        let listening = Lines::default();
        let printed = Arc::clone(&listening);
        let (sender, receiver) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut admin = None;
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Some((_, url)) = line.split_once("admin page at http://") {
                        admin = Some(url.trim().to_owned());
                    }
                    let Some((_, url)) = line.split_once("listening on ") else {
                        continue;
                    };
                    let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                    printed.push(url.trim().to_owned());
                    // The receiver may be gone: it waits for the first address only.
                    let _ = sender.send((url.trim().to_owned(), admin.take()));
                }
            });
        }
        let mut server = Self {
            child: Some(child),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            listening,
            admin: None,
            log,
            reader: errors,
            names: AtomicU64::new(0),
            directory: "test".to_owned(),
            _directory: directory,
        };
        match receiver.recv_timeout(PATIENCE) {
            Ok((url, admin)) => {
                if let Some((_, address)) = url.split_once("://") {
                    server.address = address.parse().expect("it prints an address");
                }
                server.admin = admin.map(|admin| admin.parse().expect("it prints an address"));
            }
            Err(RecvTimeoutError::Timeout) => panic!("it does not listen: {:?}", server.log()),
            Err(RecvTimeoutError::Disconnected) => {
                // The host ended. Joining the thread makes its log complete.
                let read = server.reader.take().map(std::thread::JoinHandle::join);
                assert!(read.is_none_or(|read| read.is_ok()));
                return Err(server.log());
            }
        }
        Ok(server)
    }

    /// Returns a stream of this content type with an unused name, without creating it.
    pub(crate) fn name(&self, content_type: &str) -> Stream {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        Stream {
            address: self.address,
            path: format!("/v1/stream/{}/{number}", self.directory),
            content_type: content_type.to_owned(),
        }
    }

    /// Creates a stream with an unused name.
    #[track_caller]
    pub(crate) fn stream(&self, content_type: &str) -> Stream {
        let stream = self.name(content_type);
        stream.create();
        stream
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address, method, target)
    }

    /// Returns the address of the admin listener.
    #[track_caller]
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("the server has an admin listener")
    }

    /// Returns whether the server has an admin listener.
    pub(crate) fn has_admin(&self) -> bool {
        self.admin.is_some()
    }

    /// A request to the admin listener.
    #[track_caller]
    pub(crate) fn admin_request(&self, method: &str, target: &str) -> Request {
        Request::new(self.admin(), method, target)
    }

    /// Returns the lines that the server printed on standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns whether the log was read to its end, which comes with the end of the server.
    pub(crate) fn is_log_read(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Waits for the server's addresses, and returns them as it printed them.
    pub(crate) fn listening<const N: usize>(&self) -> [String; N] {
        let printed = || {
            let listening = self.listening.lock();
            listening.unwrap_or_else(PoisonError::into_inner).clone()
        };
        super::eventually("the server prints its addresses", || printed().len() >= N);
        let printed = printed();
        let count = printed.len();
        let listening = printed.try_into();
        listening.unwrap_or_else(|_| panic!("it prints {count} addresses"))
    }

    /// Returns the id of the server's process, if the tests started it.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Sends the server a signal by its name, such as TERM.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().expect("it is the test's own");
        let status = Command::new("kill")
            .args([format!("-{name}"), id.to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits until the server ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        super::eventually("the server ends", || {
            let child = self.child.as_mut().expect("it is the test's own");
            ended = child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        ended.expect("it ended")
    }

    /// Asserts that the server still answers and that no instance was lost.
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
            // The server may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
