//! TLS: versions of HTTP, certificates that are replaced, and clients that make no handshake.

use crate::common::secure::{Pair, Secure, flags};
use crate::common::server::via;
use crate::common::{PATIENCE, ServerUnderTest, eventually};
use hyper::{Method, Version};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// A server with this certificate, and the directory of its files.
fn start(pair: &Pair) -> Option<(ServerUnderTest, TempDir)> {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    pair.write_to(directory.path());
    let [certificate, key] = flags(directory.path());
    let server = ServerUnderTest::start_with_arguments(&[], &[&certificate, &key])?;
    Some((server, directory))
}

/// Whether a new connection gets the certificate of `pair`.
async fn shows(server: &ServerUnderTest, trusted: &[&Pair], pair: &Pair) -> bool {
    let connection = Secure::connect(server.address, trusted, &BOTH).await;
    connection.certificate == pair.certificate()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_written_and_read_over_tls_by_both_versions_of_http() {
    let pair = Pair::new();
    let Some((server, _directory)) = start(&pair) else {
        return;
    };
    let to = server.address;
    assert_eq!(server.listening(), [format!("https://{to}")]);
    for (offered, version) in [
        (&BOTH[..], Version::HTTP_2),
        (&["h2"], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let mut client = Secure::connect(to, &[&pair], offered).await;
        let path = server.name("text/plain").path;
        let created = client.send(Method::PUT, to, &path, "first").await;
        assert_eq!(
            (created.status(), created.version()),
            (201.try_into().expect("a status"), version)
        );
        let location = created
            .headers()
            .get("location")
            .map(|value| value.as_bytes());
        // Wasmtime tells instances of `wasi:http` 0.2 the scheme http whatever it is.
        let scheme = match via().as_str() {
            "wasi-http-p2" => "http",
            _ => "https",
        };
        let expected = format!("{scheme}://{to}{path}");
        assert_eq!(location, Some(expected.as_bytes()), "{version:?}");
        assert_eq!(
            client
                .send(Method::POST, to, &path, "-second")
                .await
                .status(),
            204
        );
        let read = client
            .send(Method::GET, to, &format!("{path}?offset=-1"), "")
            .await;
        assert_eq!(read.body(), "first-second", "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let (old, new) = (Pair::new(), Pair::new());
    let Some((server, directory)) = start(&old) else {
        return;
    };
    let (server, old, new) = (&server, &old, &new);
    let trusted = &[old, new];
    let (to, path) = (server.address, server.name("text/plain").path);
    let mut first = Secure::connect(to, trusted, &BOTH).await;
    assert_eq!(first.send(Method::PUT, to, &path, "").await.status(), 201);
    let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (is_over, sent, path) = (&is_over, &sent, &path);
    // Connections that stay open, and a new one for each request.
    let keep = |version| async move {
        let mut kept = Secure::connect(to, trusted, &[version]).await;
        while !is_over.load(Ordering::Relaxed) {
            let appended = kept.send(Method::POST, to, path, "x").await;
            assert_eq!(appended.status(), 204);
            sent.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(kept.certificate, old.certificate());
    };
    let renew = |version| async move {
        while !is_over.load(Ordering::Relaxed) {
            let mut fresh = Secure::connect(to, trusted, &[version]).await;
            let appended = fresh.send(Method::POST, to, path, "x").await;
            assert_eq!(appended.status(), 204);
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let replace = async {
        while sent.load(Ordering::Relaxed) < 100 {
            tokio::task::yield_now().await;
        }
        new.write_to(directory.path());
        let begun = std::time::Instant::now();
        while !shows(server, trusted, new).await {
            assert!(
                begun.elapsed() < PATIENCE,
                "the new certificate is never used"
            );
        }
        let replaced = sent.load(Ordering::Relaxed);
        while sent.load(Ordering::Relaxed) < replaced + 100 {
            tokio::task::yield_now().await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(
        keep("h2"),
        keep("http/1.1"),
        renew("h2"),
        renew("http/1.1"),
        replace
    );
    assert!(shows(server, trusted, new).await);
    let read = first
        .send(Method::GET, to, &format!("{path}?offset=-1"), "")
        .await;
    assert_eq!(read.body().len(), sent.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_replacement_keeps_the_certificate_until_it_is_repaired() {
    let (old, new) = (Pair::new(), Pair::new());
    let Some((server, directory)) = start(&old) else {
        return;
    };
    let trusted = &[&old, &new];
    let warnings = || {
        let log = server.log();
        let warnings = log
            .iter()
            .filter(|line| line.contains("certificate not loaded"));
        warnings.count()
    };
    let key = directory.path().join("tls.key");
    let good = fs::read(&key).expect("the key");
    // The key of another certificate, and no key at all.
    new.write_to(directory.path());
    fs::write(&key, &good).expect("written");
    server.signal("HUP");
    // On a slow machine the server looks at the files by itself too.
    eventually("the other key is a warning", || warnings() > 0);
    assert!(shows(&server, trusted, &old).await);
    let before = warnings();
    fs::remove_file(&key).expect("removed");
    server.signal("HUP");
    eventually("the missing key is a warning", || warnings() > before);
    assert!(shows(&server, trusted, &old).await);
    new.write_to(directory.path());
    server.signal("HUP");
    while !shows(&server, trusted, &new).await {
        tokio::task::yield_now().await;
    }
}

/// Such clients would hold their places, and a handshake in the accept loop would stop all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_without_a_handshake_are_ended_and_hold_up_no_other() {
    let pair = Pair::new();
    let Some((server, _directory)) = start(&pair) else {
        return;
    };
    let mut silent: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(server.address).expect("it listens"))
        .collect();
    // Half of a record's head.
    for client in &mut silent[50..] {
        client.write_all(&[22, 3]).expect("sent");
    }
    let mut client = Secure::connect(server.address, &[&pair], &BOTH).await;
    let health = client
        .send(Method::GET, server.address, "/health", "")
        .await;
    assert_eq!(health.status(), 200);
    for client in &mut silent {
        client.set_nonblocking(true).expect("a socket option");
        let none = client.read(&mut [0]).expect_err("it is still open");
        assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock);
        client.set_nonblocking(false).expect("a socket option");
        client
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket option");
    }
    for mut client in silent {
        assert_eq!(client.read(&mut [0]).expect("it is ended"), 0);
    }
    let health = client
        .send(Method::GET, server.address, "/health", "")
        .await;
    assert_eq!(health.status(), 200);
}

#[test]
fn unusable_files_are_refused_at_the_start_in_one_line() {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    Pair::new().write_to(directory.path());
    fs::write(directory.path().join("tls.key"), "no key").expect("written");
    let flags = flags(directory.path());
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    crate::process::refused_with_one_line(&flags, &[], &["tls.key"]);
}
