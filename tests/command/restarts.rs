//! Restarts of the server and of the command in the middle of an append and a tail.

use super::common::command::{client, run};
use super::common::{Cuts, Proxy, Random, Running, Server, eventually};
use std::path::Path;

/// Numbered lines.
fn lines(range: std::ops::Range<usize>) -> Vec<u8> {
    range
        .map(|line| format!("line {line}\n"))
        .collect::<String>()
        .into_bytes()
}

fn read(server: &Server) -> Vec<u8> {
    run(&server.url(), &["read", "log"], b"").out()
}

#[test]
fn append_and_tail_survive_crashes_of_the_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = Server::start_over(directory.path());
    run(&server.url(), &["create", "log", "--type", "text"], b"").out();
    let proxy = Proxy::start(server.address, Cuts::Never, 0);
    let tail = Running::start(client(&proxy.url(), &["tail", "log"]));
    let mut append = Running::start(client(&proxy.url(), &["append", "log", "--close"]));
    for round in 0..3 {
        append.write(&lines(round * 1_000..round * 1_000 + 500));
        let before = proxy.bytes();
        eventually("the append reaches the server", || proxy.bytes() > before);
        server.kill();
        append.write(&lines(round * 1_000 + 500..(round + 1) * 1_000));
        server = Server::start_over(directory.path());
        proxy.lead_to(server.address);
    }
    append.end_input();
    append.wait().out();
    assert!(tail.wait().out() == lines(0..3_000), "the tail differs");
    assert!(read(&server) == lines(0..3_000), "the stream differs");
}

fn append(url: &str, state: &Path, input: &Path) -> std::process::Command {
    let mut command = client(url, &["append", "log", "--state"]);
    command.arg(state).arg("--file").arg(input);
    command
}

/// Waits until the command ends, or the proxy holds its bytes. Returns whether the command ended.
fn ends_before_hold(running: &mut Running, proxy: &Proxy) -> bool {
    let mut is_over = false;
    eventually("the append moves on or ends", || {
        is_over = running.child.try_wait().expect("it can be asked").is_some();
        is_over || proxy.is_holding()
    });
    is_over
}

#[test]
fn an_append_with_a_state_file_is_exact_though_it_is_killed_at_any_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, input) = (
        directory.path().join("state"),
        directory.path().join("input"),
    );
    let server = Server::start();
    run(&server.url(), &["create", "log", "--type", "text"], b"").out();
    // A long input: batches are 256 KiB.
    let content = lines(0..300_000);
    std::fs::write(&input, &content).expect("the input is written");
    let mut killed = 0;
    loop {
        let cuts = Cuts::HoldAfter(300_000 * (killed + 1));
        let proxy = Proxy::start(server.address, cuts, 0);
        let mut running = Running::start(append(&proxy.url(), &state, &input));
        if ends_before_hold(&mut running, &proxy) {
            running.wait().out();
            break;
        }
        running.kill();
        running.wait();
        killed += 1;
    }
    assert!(killed >= 3, "the append was killed only {killed} times");
    assert!(read(&server) == content, "the stream differs");
    // Another run appends only the new lines.
    let longer = lines(0..300_010);
    std::fs::write(&input, &longer).expect("the input is written");
    Running::start(append(&server.url(), &state, &input))
        .wait()
        .out();
    assert!(read(&server) == longer, "the stream differs");
    // Another input is not taken for the same one.
    std::fs::write(&input, b"something else\n").expect("the input is written");
    let error = Running::start(append(&server.url(), &state, &input))
        .wait()
        .fails(1);
    assert!(error.contains("not those of the earlier run"), "{error}");
}

#[test]
fn every_line_is_appended_once_and_in_order_though_both_sides_are_killed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (state, input) = (
        directory.path().join("state"),
        directory.path().join("input"),
    );
    let store = directory.path().join("store");
    let mut random = Random::seeded(22);
    let mut server = Server::start_over(&store);
    run(&server.url(), &["create", "log", "--type", "text"], b"").out();
    let content = lines(0..300_000);
    std::fs::write(&input, &content).expect("the input is written");
    let (mut commands, mut servers) = (0, 0);
    loop {
        // Several batches of 256 KiB are on their way at a time, and none may arrive before the kill.
        // So the runs get longer.
        let bytes = 50_000 + random.below(300_000 * (commands + 1));
        let proxy = Proxy::start(server.address, Cuts::HoldAfter(bytes), 0);
        let mut running = Running::start(append(&proxy.url(), &state, &input));
        if ends_before_hold(&mut running, &proxy) {
            running.wait().out();
            break;
        }
        if commands % 2 == 1 {
            server.kill();
            server = Server::start_over(&store);
            servers += 1;
        }
        running.kill();
        running.wait();
        commands += 1;
    }
    println!("killed: the command {commands} times, the server {servers} times");
    assert!(
        commands >= 4 && servers >= 2,
        "{commands} and {servers} kills"
    );
    assert!(read(&server) == content, "the stream differs");
}

#[test]
fn a_tail_goes_on_at_its_position_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let position = directory.path().join("position");
    let position = position.to_str().expect("the path is text");
    let server = Server::start();
    let url = server.url();
    run(&url, &["create", "log", "--type", "text"], b"").out();
    run(&url, &["append", "log"], &lines(0..10)).out();
    let first = run(&url, &["read", "log", "--position", position], b"").out();
    assert_eq!(first, lines(0..10));
    run(&url, &["append", "log", "--close"], &lines(10..20)).out();
    let second = run(&url, &["tail", "log", "--position", position], b"").out();
    assert_eq!(second, lines(10..20));
}
