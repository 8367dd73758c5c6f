//! Each command, its output and its exit code.

use super::common::command::{client, run};
use super::common::{Running, Server};
use std::process::Stdio;

fn text(server: &Server, arguments: &[&str]) -> String {
    run(&server.url(), arguments, b"").text()
}

#[test]
fn a_stream_lives_by_the_commands() {
    let server = Server::start();
    let url = format!("{}/a/b", server.url());
    assert_eq!(
        text(&server, &["create", "a/b", "-t", "json"]),
        format!("created {url}\n")
    );
    assert_eq!(
        text(&server, &["create", "a/b", "-t", "json"]),
        format!("exists {url}\n")
    );
    run(&server.url(), &["append", "a/b"], b"{\"n\":1}\n\n[2]\n").out();
    text(&server, &["append", "a/b", "3"]);
    assert_eq!(text(&server, &["read", "a/b"]), "{\"n\":1}\n[2]\n3\n");
    assert_eq!(text(&server, &["read", &url, "-n", "1"]), "3\n");
    assert_eq!(
        text(&server, &["close", "a/b", "--reason", "done"]),
        format!("closed {url} (done)\n")
    );
    let head = text(&server, &["head", "a/b"]);
    assert!(
        head.starts_with("content-type: application/json\nnext-offset: "),
        "{head}"
    );
    assert!(
        head.ends_with("closed: true\nclosed-reason: done\n"),
        "{head}"
    );
    assert_eq!(
        text(&server, &["fork", "a/b", "c"]),
        format!("created {}/c\n", server.url())
    );
    assert_eq!(text(&server, &["read", "c"]), "{\"n\":1}\n[2]\n3\n");
    let mut names: Vec<String> = text(&server, &["ls"]).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["a/b", "c"]);
    assert_eq!(text(&server, &["ls", "--forks-of", "a/b"]), "c\n");
    assert_eq!(
        text(&server, &["stop", "c"]),
        format!("closed {}/c (stopped)\n", server.url())
    );
    text(&server, &["rm", "c", "a/b"]);
    assert_eq!(text(&server, &["ls"]), "");
}

#[test]
fn json_output_is_one_document_a_line() {
    let server = Server::start();
    let documents = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let text = text(&server, arguments);
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .expect("each line is a document")
    };
    let created = documents(&["create", "s", "-t", "text", "--ttl", "3600", "--json"]);
    assert_eq!(created[0]["created"], true);
    let appended = documents(&["append", "s", "abc", "--json"]);
    assert_eq!(appended[0]["bytes"], 3);
    let read = documents(&["read", "s", "--json"]);
    assert_eq!(read[0]["text"], "abc");
    let offset = read[0]["next_offset"].as_str().expect("an offset");
    text(&server, &["append", "s", "def"]);
    assert_eq!(text(&server, &["read", "s", "--from", offset]), "def");
    let head = documents(&["head", "s", "--json"]);
    assert_eq!(
        (&head[0]["closed"], &head[0]["ttl_secs"]),
        (&false.into(), &3600.into())
    );
    assert_eq!(documents(&["ls", "--json"])[0]["name"], "s");
    assert_eq!(documents(&["close", "s", "--json"])[0]["closed"], true);
    assert_eq!(documents(&["tail", "s", "--json"])[0]["closed"], true);
}

#[test]
fn exit_codes_tell_failures_apart() {
    let server = Server::start();
    let fails = |arguments: &[&str], code: i32| run(&server.url(), arguments, b"").fails(code);
    assert!(fails(&["head", "none"], 3).contains("404"));
    assert!(fails(&["append", "none", "x"], 3).contains("404"));
    text(&server, &["create", "s", "-t", "text"]);
    assert!(fails(&["create", "s", "-t", "json"], 4).contains("409"));
    text(&server, &["close", "s"]);
    assert!(fails(&["append", "s", "x"], 4).contains("the stream is closed"));
    fails(&["head"], 2);
    fails(&["head", "a/../b"], 2);
    fails(&["rm", "none"], 3);
    text(&server, &["rm", "--force", "none"]);
    let address = server.address;
    drop(server);
    let url = format!("http://{address}/v1/stream");
    let error = run(&url, &["head", "s", "--give-up-after", "0"], b"").fails(6);
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_missing_token_is_denied_and_never_printed() {
    let key = "k".repeat(32);
    let server = Server::start_with(
        "memory",
        &[&format!(
            r#"auth_tokens=[{{"token":"{key}","scope":"read write"}}]"#
        )],
    );
    let ran = run(&server.url(), &["head", "s"], b"");
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    let help = run(&server.url(), &["head", "--help", "--token", &key], b"").text();
    assert!(!help.contains(&key));
}

#[test]
fn invalid_json_names_its_line() {
    let server = Server::start();
    text(&server, &["create", "s", "-t", "json"]);
    let error = run(&server.url(), &["append", "s"], b"1\n2\n{\n").fails(1);
    assert!(error.contains("line 3 of the input is not JSON"), "{error}");
}

#[test]
fn append_creates_the_stream_only_if_it_does_not_exist() {
    let server = Server::start();
    for line in ["a\n", "b\n"] {
        run(
            &server.url(),
            &["append", "s", "--create", "text"],
            line.as_bytes(),
        )
        .out();
    }
    assert_eq!(text(&server, &["read", "s"]), "a\nb\n");
}

#[test]
fn a_closed_output_ends_a_read_quietly() {
    let server = Server::start();
    text(&server, &["create", "s", "-t", "text"]);
    run(&server.url(), &["append", "s"], &vec![b'x'; 4 << 20]).out();
    let mut command = client(&server.url(), &["read", "s"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_interrupt_ends_a_tail_with_130() {
    let server = Server::start();
    text(&server, &["create", "s", "-t", "text"]);
    text(&server, &["append", "s", "x\n"]);
    let mut command = client(&server.url(), &["tail", "s"]);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut first = [0; 2];
    let mut out = child.stdout.take().expect("its output is piped");
    std::io::Read::read_exact(&mut out, &mut first).expect("it prints the stream");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn standard_input_that_stays_open_is_appended_as_it_comes() {
    let server = Server::start();
    text(&server, &["create", "s", "-t", "text"]);
    let tail = Running::start(client(&server.url(), &["tail", "s"]));
    let mut append = Running::start(client(&server.url(), &["append", "s", "--close"]));
    for line in ["one\n", "two\n"] {
        append.write(line.as_bytes());
        super::common::eventually("the line is in the stream", || {
            text(&server, &["read", "s"]).ends_with(line)
        });
    }
    append.end_input();
    append.wait().out();
    assert_eq!(tail.wait().text(), "one\ntwo\n");
}

#[test]
fn completions_and_the_man_page_name_every_command() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&server, &["completions", shell]);
        assert!(
            script.contains("append") && script.contains("serve"),
            "{shell}"
        );
    }
    let page = text(&server, &["man"]);
    for command in ["APPEND", "TAIL", "SERVE"] {
        assert!(
            page.contains(&format!(".SH COMMAND {command}")),
            "{command}"
        );
    }
}

#[test]
fn a_bench_reports_percentiles_and_leaves_no_stream() {
    let server = Server::start();
    let report = text(
        &server,
        &["bench", "--seconds", "1", "--streams", "2", "--json"],
    );
    let report: serde_json::Value = serde_json::from_str(&report).expect("a document");
    let count = report["appends"]["count"].as_u64().expect("a count");
    assert!(count > 0, "{report}");
    assert_eq!(report["deliveries"]["count"], count);
    assert_eq!(text(&server, &["ls"]), "");
}
