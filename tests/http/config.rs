//! The configuration file: its place in the order of sources, its faults, and its reload.

use crate::common::{HOST, Response, ServerUnderTest, Stream, eventually, server};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

const ONE: &str = "the-token-of-the-first-client";
const TWO: &str = "the-token-of-the-second-client";

/// A configuration file in a directory of its own.
struct File {
    directory: TempDir,
}

impl File {
    fn new(text: &str) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let file = Self { directory };
        file.write(text);
        file
    }

    /// A file for a server in memory on a free port, with more flags and with variables.
    fn serving(flags: &str, variables: &str) -> Self {
        Self::new(&serving(flags, variables))
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).expect("it is written");
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("ds.toml")
    }

    fn shown(&self) -> String {
        self.path().display().to_string()
    }

    fn start(&self, arguments: &[&str]) -> ServerUnderTest {
        let path = self.shown();
        let arguments: Vec<&str> = ["--config", &path]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        ServerUnderTest::start_alone(&arguments, &[])
    }

    /// Runs a command of the program with this file.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = HOST.command();
        command.args(arguments).arg("--config").arg(self.path());
        command.envs(environment.iter().copied());
        command.current_dir(self.directory.path());
        command.output().expect("the host can be started")
    }
}

fn serving(flags: &str, variables: &str) -> String {
    let via = server::via();
    let component = HOST.component(&via);
    let component = component.display();
    format!(
        "listen = '127.0.0.1:0'\nstore = 'memory'\nvia = '{via}'\ncomponent = '{component}'\n\
         {flags}\n[variables]\n{variables}\n"
    )
}

fn tokens(tokens: &[&str]) -> String {
    let rights = |token| format!("{{ token = '{token}', scope = 'read write' }}");
    let tokens: Vec<_> = tokens.iter().map(rights).collect();
    format!("auth_tokens = [{}]", tokens.join(", "))
}

fn authorized(token: &str) -> String {
    format!("Bearer {token}")
}

fn create(stream: &Stream, token: &str) {
    let request = stream.put().header("content-type", "text/plain");
    let request = request.header("authorization", authorized(token));
    request.send().expect(201);
}

fn append(stream: &Stream, token: &str, body: &str) -> Response {
    let request = stream.post(body);
    request.header("authorization", authorized(token)).send()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for a line of the log with all these words.
#[track_caller]
fn logged(server: &ServerUnderTest, words: &[&str]) {
    eventually(&format!("the log has {words:?}"), || {
        let log = server.log();
        let mut lines = log.iter();
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    });
}

#[test]
fn a_file_sets_flags_and_variables_and_other_sources_win() {
    let file = File::serving("", "max_append_bytes = 3\nmax_producers = 2");
    let path = file.shown();
    for (arguments, environment, most) in [
        (&[][..], &[("DS_CONFIG", &*path)][..], 3),
        (
            &["--config", &path],
            &[("DS_CONFIG", "/nowhere/ds.toml")],
            3,
        ),
        (&["--config", &path], &[("DS_MAX_APPEND_BYTES", "4")], 4),
        (
            &["--config", &path, "--variable", "max_append_bytes=5"],
            &[("DS_MAX_APPEND_BYTES", "4")],
            5,
        ),
    ] {
        let server = ServerUnderTest::start_alone(arguments, environment);
        let stream = server.stream("text/plain");
        stream.append("x".repeat(most));
        let more = stream.post("x".repeat(most + 1)).send();
        more.problem(413, "PAYLOAD_TOO_LARGE");
    }
}

#[test]
fn a_fault_of_the_file_is_one_line_and_a_server_does_not_start() {
    for (text, named) in [
        (
            "listne = 'x'",
            &["ds.toml:1: ", "\"listne\"", "listen has"][..],
        ),
        ("\nidle-timeout = 'x'", &["ds.toml:2: ", "a whole number"]),
        (
            "[variables]\npage_bytes = 0",
            &["ds.toml:2: ", "page_bytes", "from 1"],
        ),
        (
            "listen = 'nowhere'",
            &["ds.toml:1: ", "nowhere", "--listen"],
        ),
    ] {
        let file = File::new(text);
        for (command, code) in [("serve", 2), ("config", 1)] {
            let out = file.run(&[command], &[]);
            assert_eq!(out.status.code(), Some(code), "{out:?}");
            let errors = self::text(&out.stderr);
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(out.stdout.is_empty(), "{out:?}");
            for name in named {
                assert!(errors.contains(name), "{name} is not named: {errors}");
            }
        }
        let left = std::fs::read_dir(file.directory.path()).expect("readable");
        assert_eq!(left.count(), 1, "there is no store");
    }
}

#[test]
fn the_config_command_shows_values_and_sources_without_secrets() {
    let variables = format!("{}\npage_bytes = 5", tokens(&[ONE]));
    let file = File::serving("idle-timeout = 30", &variables);
    let environment = [("DS_TICK_TOKEN", TWO), ("DS_MAX_PRODUCERS", "7")];
    let arguments = [
        "config",
        "--idle-timeout",
        "40",
        "--variable",
        "sse_max_secs=9",
    ];
    let out = file.run(&arguments, &environment);
    assert!(out.status.success(), "{out:?}");
    let shown = text(&out.stdout);
    for token in [ONE, TWO] {
        assert!(!shown.contains(token), "{shown}");
    }
    let path = file.shown();
    for (setting, source) in [
        ("listen = [\"127.0.0.1:0\"]", format!("file {path}:1")),
        ("idle-timeout = 40", "flag".to_owned()),
        ("scrub-rate = 4", "default".to_owned()),
        ("auth_tokens = \"(hidden)\"", format!("file {path}:7")),
        ("page_bytes = 5", format!("file {path}:8")),
        (
            "tick_token = \"(hidden)\"",
            "environment DS_TICK_TOKEN".to_owned(),
        ),
        (
            "max_producers = 7",
            "environment DS_MAX_PRODUCERS".to_owned(),
        ),
        ("sse_max_secs = 9", "flag".to_owned()),
    ] {
        let line = shown.lines().find(|line| line.starts_with(setting));
        let line = line.unwrap_or_else(|| panic!("no {setting}: {shown}"));
        assert!(line.ends_with(&format!("# {source}")), "{line}");
    }
    let out = file.run(&["config", "--json"], &environment);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("it is JSON");
    assert_eq!(json["flags"]["idle-timeout"]["value"], 30);
    assert_eq!(json["flags"]["idle-timeout"]["at"], format!("{path}:5"));
    assert_eq!(json["variables"]["tick_token"]["value"], "(hidden)");
}

/// With an admin listener, instances are measured.
#[test]
fn a_reload_changes_tokens_and_limits_without_a_failed_request() {
    for admin in ["off", "127.0.0.1:0"] {
        reload_changes_tokens_and_limits(admin);
    }
}

fn reload_changes_tokens_and_limits(admin: &str) {
    let limit = "max_append_bytes = 20\nlog_level = 'info'\n";
    let file = File::serving("", &format!("{limit}{}", tokens(&[ONE])));
    let server = file.start(&["--admin", admin]);
    let stream = server.name("text/plain");
    create(&stream, ONE);
    append(&stream, TWO, "x").problem(401, "UNAUTHORIZED");
    let waiting = stream.long_poll("-1");
    let waiting = waiting.header("authorization", authorized(ONE)).start();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                let mine = server.name("text/plain");
                create(&mine, ONE);
                append(&mine, ONE, "x").expect(204);
                count += 1;
            }
            count
        });
        let more = format!(
            "key_namespace = 'x'\nlog_level = 'info'\n{}",
            tokens(&[ONE, TWO])
        );
        file.write(&serving("idle-timeout = 700", &more));
        server.signal("HUP");
        eventually("the second token counts", || {
            append(&stream, TWO, &"x".repeat(21)).status == 204
        });
        done.store(true, Ordering::Relaxed);
        assert!(load.join().expect("no request failed") > 0);
    });
    let answer = waiting.finish();
    assert_eq!(
        answer.status, 200,
        "the reader from before the reload: {answer:?}"
    );
    logged(&server, &["setting needs a restart", "idle-timeout"]);
    logged(&server, &["setting needs a restart", "key_namespace"]);
    logged(
        &server,
        &["configuration reloaded", "auth_tokens", "max_append_bytes"],
    );
    file.write(&serving("", &tokens(&[TWO])));
    server.signal("HUP");
    eventually("the first token counts no more", || {
        append(&stream, ONE, "x").status == 401
    });
    append(&stream, TWO, "x").expect(204);
}

#[test]
fn a_reload_of_a_file_with_a_fault_changes_nothing() {
    let file = File::serving("", &tokens(&[ONE]));
    let server = file.start(&[]);
    let stream = server.name("text/plain");
    create(&stream, ONE);
    file.write(&format!(
        "{}\npage_byts = 1\n",
        serving("", &tokens(&[TWO]))
    ));
    server.signal("HUP");
    logged(
        &server,
        &["configuration not reloaded", "ds.toml:9: ", "page_bytes"],
    );
    append(&stream, ONE, "x").expect(204);
    append(&stream, TWO, "x").problem(401, "UNAUTHORIZED");
    std::fs::remove_file(file.path()).expect("it is there");
    server.signal("HUP");
    logged(
        &server,
        &["configuration not reloaded", "ds.toml: No such file"],
    );
    file.write(&serving("", &tokens(&[TWO])));
    server.signal("HUP");
    eventually("the second token counts", || {
        append(&stream, TWO, "x").status == 204
    });
}

#[test]
fn a_reload_changes_the_rate_limits() {
    let file = File::serving("", "");
    let server = file.start(&[]);
    server.request("GET", "/readyz").send().expect(200);
    file.write(&serving("rate-limit-per-address = 1", ""));
    server.signal("HUP");
    eventually("a request too many is refused", || {
        server.request("GET", "/readyz").send().status == 429
    });
    file.write(&serving("", ""));
    server.signal("HUP");
    eventually("the limit is gone", || {
        let mut answers = (0..20).map(|_| server.request("GET", "/readyz").send());
        answers.all(|answer| answer.status == 200)
    });
}

#[test]
fn without_a_file_a_hangup_ends_the_server() {
    // The tests may run with hangups ignored, as nohup makes them.
    let host = ServerUnderTest::command(&[]);
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP");
    command.arg(host.get_program()).args(host.get_args());
    let mut server = ServerUnderTest::start_command(command);
    server.signal("HUP");
    assert_eq!(server.wait().code(), None, "a signal ended it");
}
