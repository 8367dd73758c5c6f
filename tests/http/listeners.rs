//! Sockets: Unix sockets, several at a time, and those that systemd passes. The end by signals.

use crate::common::secure::{Pair, Secure, flags};
use crate::common::{Connection, PATIENCE, ServerUnderTest, eventually};
use hyper::Method;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn directory() -> (TempDir, PathBuf) {
    // The path of a socket has at most 107 bytes.
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ds.sock");
    (directory, path)
}

/// Sends a request with these first lines by a Unix socket, and returns the whole answer.
fn ask(path: &Path, lines: &[&str], body: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let length = body.len();
    let lines = lines.join("\r\n");
    let request = format!(
        "{lines}\r\nHost: a.example\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_listens_on_tls_and_on_a_unix_socket_without_tls_at_once() {
    let (directory, path) = directory();
    let pair = Pair::new();
    pair.write_to(directory.path());
    let [certificate, key] = flags(directory.path());
    let unix = format!("--listen=unix:{}", path.display());
    let arguments = [&*unix, "--listen=127.0.0.1:0", &certificate, &key];
    let Some(mut server) = ServerUnderTest::start_with_arguments(&[], &arguments) else {
        return;
    };
    let [first, second, third] = server.listening();
    assert_eq!(first, format!("https://{}", server.address));
    assert_eq!(second, format!("unix:{}", path.display()));
    let third = third.strip_prefix("https://").expect("TLS");
    let target = server.name("text/plain").path;
    let created = ask(&path, &[&format!("PUT {target} HTTP/1.1")], "by unix");
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let location = format!("location: http://a.example{target}\r\n");
    assert!(created.contains(&location), "{created}");
    let read = format!("{target}?offset=-1");
    for to in [server.address, third.parse().expect("an address")] {
        let mut client = Secure::connect(to, &[&pair], &["h2"]).await;
        let read = client.send(Method::GET, to, &read, "").await;
        assert_eq!(read.body(), "by unix", "{to}");
    }
    let read = ask(&path, &[&format!("GET {read} HTTP/1.1")], "");
    assert!(read.ends_with("by unix"), "{read}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists(), "its file is removed");
}

#[test]
fn a_server_replaces_the_socket_of_one_that_was_killed_and_not_of_one_that_runs() {
    let (_directory, path) = directory();
    let unix = format!("--listen=unix:{}", path.display());
    let start = || ServerUnderTest::start_with_arguments(&[], &[&unix]);
    let Some(mut killed) = start() else { return };
    let [_, _] = killed.listening();
    killed.signal("KILL");
    killed.wait();
    assert!(path.exists());
    let running = start().expect("it is the test's own");
    let [_, _] = running.listening();
    crate::process::refused_with_one_line(&[&unix], &[], &["ds.sock", "another process"]);
    let health = ask(&path, &["GET /health HTTP/1.1"], "");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

/// All clients of a Unix socket have one address, unless the proxy that they come through tells
/// theirs.
#[test]
fn rates_of_a_unix_socket_are_those_of_one_address_or_of_the_proxys_clients() {
    let (_directory, path) = directory();
    let unix = format!("--listen=unix:{}", path.display());
    let limited = [&*unix, "--rate-limit-per-address=1"];
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &limited) else {
        return;
    };
    let [_, _] = server.listening();
    let get = |number: u8| {
        let forwarded = format!("X-Forwarded-For: 192.0.2.{number}");
        ask(&path, &["GET /v1/stream/x HTTP/1.1", &forwarded], "")
    };
    let is_refused = |answer: String| answer.starts_with("HTTP/1.1 429");
    let refused = (0..10).filter(|number| is_refused(get(*number))).count();
    assert!(refused > 0, "all have one address");
    drop(server);
    let trusting = [
        &*unix,
        "--rate-limit-per-address=1",
        "--trust-forwarded-for",
    ];
    let server = ServerUnderTest::start_with_arguments(&[], &trusting).expect("the test's own");
    let [_, _] = server.listening();
    let refused = (0..10).filter(|number| is_refused(get(*number))).count();
    assert_eq!(refused, 0, "each has its own address");
}

#[test]
fn a_socket_from_systemd_is_used_and_readiness_and_the_end_are_notified() {
    let (directory, path) = directory();
    let notify = directory.path().join("notify");
    let notified = UnixDatagram::bind(&notify).expect("a free path");
    notified
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let receive = || {
        let mut text = [0; 64];
        let length = notified.recv(&mut text).expect("a notification");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = tcp.local_addr().expect("its address");
    let Some(mut server) = ServerUnderTest::start_with_socket(tcp.into(), &notify) else {
        return;
    };
    assert_eq!(server.listening(), [format!("http://{address}")]);
    assert_eq!(receive(), "READY=1\n");
    server.expect_alive();
    server.signal("TERM");
    assert_eq!(receive(), "STOPPING=1\n");
    assert_eq!(server.wait().code(), Some(0));
    drop(server);
    let unix = UnixListener::bind(&path).expect("a free path");
    let passed = unix.try_clone().expect("a descriptor").into();
    let mut server = ServerUnderTest::start_with_socket(passed, &notify).expect("the test's own");
    assert_eq!(server.listening(), [format!("unix:{}", path.display())]);
    assert_eq!(receive(), "READY=1\n");
    let health = ask(&path, &["GET /health HTTP/1.1"], "");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(path.exists(), "the file is systemd's");
}

/// A client that never sends the rest of its request held up the end for half a minute.
#[test]
fn a_second_signal_ends_the_server_at_once() {
    for signal in ["TERM", "INT"] {
        let mut server = ServerUnderTest::start_own(&[("long_poll_timeout_secs", "300")]);
        let stream = server.stream("text/plain");
        let poll = stream.wait_at("now");
        let mut half = Connection::to(stream.address);
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf",
            stream.path
        );
        half.write(head.as_bytes()).expect("it is sent");
        // An answer on another connection shows that the server had time to read from the first.
        stream.tail();
        server.signal(signal);
        eventually("no connection is accepted", || {
            TcpStream::connect(server.address).is_err()
        });
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(1), "{signal}");
        let log = server.log().join("\n");
        assert!(log.contains("second signal"), "{log}");
        drop((poll, half));
    }
}
