//! A stream much larger than a page, read with curl as a person would: 48 MiB in the usual run,
//! 256 MiB with `--full`.

use crate::common::{Random, START, ServerUnderTest, full};
use std::process::Command;

const MIB: usize = 1024 * 1024;

/// Upper limit of the memory that reading may add to the server.
const MAX_RISE: usize = 16 * MIB;

fn part(number: usize) -> Vec<u8> {
    Random::seeded(number as u64).bytes(MIB)
}

/// Resident memory of a process, on systems that report it.
fn resident(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Reads one page with curl: its head and its body.
fn curl(url: &str) -> Option<(String, Vec<u8>)> {
    let out = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--include", url])
        .output()
        .ok()?;
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let end = out
        .stdout
        .windows(4)
        .position(|window| window == b"\r\n\r\n");
    let (head, body) = out.stdout.split_at(end.expect("a head ends") + 4);
    Some((String::from_utf8_lossy(head).to_lowercase(), body.to_vec()))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    head.lines().find_map(value)
}

#[test]
fn a_large_stream_is_read_back_page_by_page_in_little_memory() {
    let parts = if full() { 256 } else { 48 };
    let Some(server) = ServerUnderTest::start(&[]) else {
        return;
    };
    let memory = || server.id().and_then(resident);
    let stream = server.stream("application/octet-stream");
    for number in 0..parts {
        stream.append(part(number));
    }
    let url = format!("http://{}{}", stream.address, stream.path);
    // The first read makes allocations that do not depend on the amount read, so it comes before
    // the measurement.
    if curl(&url).is_none() {
        println!("skipped: curl is not installed");
        return;
    }
    let before = memory();
    let mut most = before;
    let (mut at, mut read, mut pages) = (START.to_owned(), 0, 0);
    let mut expected = Vec::new();
    loop {
        let (head, body) = curl(&format!("{url}?offset={at}")).expect("curl is installed");
        while expected.len() < body.len() && read + expected.len() < parts * MIB {
            expected.extend(part((read + expected.len()) / MIB));
        }
        assert!(expected.get(..body.len()) == Some(&body), "at {at}");
        expected.drain(..body.len());
        read += body.len();
        pages += 1;
        most = most.max(memory());
        at = field(&head, "stream-next-offset")
            .expect("a page has a next offset")
            .to_owned();
        if field(&head, "stream-up-to-date").is_some() {
            break;
        }
    }
    assert_eq!(read, parts * MIB);
    if let (Some(before), Some(most)) = (before, most) {
        let rise = most - before;
        println!(
            "{parts} MiB in {pages} pages; resident memory rose by {} KiB",
            rise / 1024
        );
        assert!(
            rise <= MAX_RISE,
            "resident memory rose by {rise} bytes from {before}"
        );
    }
}
