//! The live view, in a terminal of util-linux's `script`, and its samples for scripts.

use super::common::command::{client, run};
use super::common::{HOST, Running, Server, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// Leaves the alternate screen.
const LEAVE: &str = "\u{1b}[?1049l";

fn sample(admin: &str) -> Value {
    let text = run("", &["top", "--once", "--json", "--admin", admin], b"").text();
    serde_json::from_str(&text).expect("one document")
}

fn server() -> Server {
    let server = Server::start_with_admin("memory", &[]);
    run(&server.url(), &["create", "chats/7", "-t", "text"], b"").out();
    server
}

#[test]
fn a_sample_has_the_load_of_a_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start_with_admin(&format!("file:{}", directory.path().display()), &[]);
    let load = Running::start(client(&server.url(), &["bench", "--seconds", "20"]));
    let mut found = Value::Null;
    eventually("a sample has appends and their time", || {
        found = sample(server.admin());
        let append = &found["metrics"]["operations"][0];
        append["operation"] == "append" && append["p99_seconds"].as_f64() > Some(0.0)
    });
    let metrics = &found["metrics"];
    assert!(
        metrics["operations"][0]["per_second"].as_f64() > Some(0.0),
        "{found}"
    );
    assert_eq!(metrics["operations"][0]["errors_per_second"], 0.0);
    assert_eq!(metrics["store"]["is_writable"], true);
    assert!(
        metrics["store"]["disk_free_bytes"].as_f64() > Some(0.0),
        "{found}"
    );
    assert!(found["streams"]["listed"].as_u64() > Some(0), "{found}");
    assert_eq!(
        (&found["prefixes"], &found["problems"]),
        (&Value::Null, &Value::from([0; 0]))
    );
    drop(load);
}

#[test]
fn a_server_without_metrics_is_named_and_its_streams_are_counted() {
    let server = server();
    let found = sample(&format!("http://{}", server.address));
    assert_eq!(found["metrics"], Value::Null);
    let problem = found["problems"][0].as_str().expect("a problem");
    assert!(problem.contains("has no metrics"), "{problem}");
    assert_eq!(found["streams"]["listed"], 1);
    let arguments = ["top", "--once", "--admin", server.admin()];
    let lines = run("", &arguments, b"").text();
    assert!(
        lines.contains("requests/s") && lines.contains("streams     1"),
        "{lines}"
    );
}

#[test]
fn the_view_needs_a_terminal() {
    let error = run("", &["top"], b"").fails(2);
    assert!(error.contains("top needs a terminal"), "{error}");
}

/// The view in a terminal of 100 columns and 30 rows. Dropping this value ends it.
struct View {
    script: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl View {
    fn start(admin: &str) -> Self {
        let shell = r#"
            stty cols 100 rows 30; echo "before $(stty -g)"
            sh -c 'echo "pid $$."; exec "$DS_PROGRAM" top'
            echo "code $?."; echo "after $(stty -g)"; echo end.
        "#;
        let mut command = Command::new("script");
        command.args(["-qfec", shell, "/dev/null"]);
        command
            .env("DS_PROGRAM", HOST.command().get_program())
            .env("DS_ADMIN", admin);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.spawn().expect("util-linux's script starts");
        let keys = script.stdin.take().expect("its input is piped");
        let mut out = script.stdout.take().expect("its output is piped");
        let shown = Arc::new(Mutex::new(String::new()));
        let writing = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]);
                writing.lock().expect("no thread panics").push_str(&text);
            }
        });
        Self {
            script,
            keys,
            shown,
        }
    }

    fn text(&self) -> String {
        self.shown.lock().expect("no thread panics").clone()
    }

    fn shows(&self, part: &str) {
        eventually(&format!("the view shows {part}"), || {
            self.text().contains(part)
        });
    }

    fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("it runs");
    }

    /// The text between two marks of the shell's own lines.
    fn between(&self, begin: &str, end: &str) -> String {
        let text = self.text();
        let rest = text.split(begin).nth(1).expect(begin);
        rest.split(end).next().expect(end).trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let id: i32 = self.between("pid ", ".").parse().expect("a number");
        let id = Pid::from_raw(id).expect("not 0");
        kill_process(id, signal).expect("it runs");
    }

    /// Waits for the end, and checks that the terminal is as before.
    #[track_caller]
    fn ended_with(&self, code: i32) {
        eventually("the view ends", || self.text().contains("end."));
        assert_eq!(self.between("code ", "."), code.to_string());
        let text = self.text();
        assert!(text.contains(LEAVE), "{text:?}");
        assert_eq!(self.between("before ", "\n"), self.between("after ", "\n"));
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn a_key_ends_the_view_and_the_terminal_is_as_before() {
    let server = server();
    let mut view = View::start(server.admin());
    view.shows("chats/7");
    view.shows("requests/s");
    let rows = |view: &View| view.text().matches("chats/7").count();
    let before = rows(&view);
    view.press("/~");
    view.shows("~");
    // The filter hid the row. An escape that other keys follow at once would be another key.
    view.press("\u{1b}");
    eventually("the row is shown again", || rows(&view) > before);
    view.press("q");
    view.ended_with(0);
}

#[test]
fn every_signal_that_ends_the_view_restores_the_terminal() {
    let server = server();
    for (signal, code) in [(Signal::TERM, 0), (Signal::HUP, 0), (Signal::INT, 130)] {
        let view = View::start(server.admin());
        view.shows("chats/7");
        view.signal(signal);
        view.ended_with(code);
    }
}

#[test]
fn the_view_goes_on_while_the_server_is_away() {
    let server = server();
    let mut view = View::start(server.admin());
    view.shows("chats/7");
    server.kill();
    view.shows("problem");
    // In a raw terminal, Ctrl-C is a key.
    view.press("\u{3}");
    view.ended_with(0);
}
