//! Appends and tails through proxies that cut connections at random byte positions.

use super::common::command::{client, run};
use super::common::{Cuts, Proxy, Random, Running, Server};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Lines of one run.
const LINES: usize = 400;

/// Most bytes of a connection. The largest batch is shorter, so it passes now and then.
const BUDGET: usize = 256 * 1024;

/// Runs at a time. Most of a run is pauses before retries.
const AT_A_TIME: usize = 8;

/// Lines that are hard to carry: long ones, CRLF, spaces at the start, and characters of many bytes.
fn text(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    for line in 0..LINES {
        let words = random.below(20);
        let start = [" ", "  \u{e9}", "data: ", "\u{1F600}", ""][random.below(5)];
        let end = ["\n", "\r\n", "\n\n"][random.below(3)];
        text.push_str(&format!("{start}{line}{}{end}", " word".repeat(words)));
    }
    text.into_bytes()
}

/// One JSON message a line.
fn json(random: &mut Random) -> Vec<u8> {
    let line = |number| {
        let text = "x\\r\\n".repeat(random.below(20));
        format!("{{\"n\":{number},\"f\":1.0,\"text\":\"{text}\",\"list\":[[],{{}}]}}\n")
    };
    (0..LINES).map(line).collect::<String>().into_bytes()
}

/// Appends through one proxy and tails through another. Returns the cuts.
fn append_and_tail(server: &Server, seed: u64) -> usize {
    let mut random = Random::seeded(seed);
    let (content_type, input) = match seed % 3 {
        0 => ("text", text(&mut random)),
        1 => ("json", json(&mut random)),
        _ => {
            let length = random.below(40_000);
            ("bytes", random.bytes(length + 1))
        }
    };
    let name = format!("cuts/{seed}");
    run(
        &server.url(),
        &["create", &name, "--type", content_type],
        b"",
    )
    .out();
    let cuts = Cuts::UpTo(BUDGET);
    let writing = Proxy::start(server.address, cuts, random.next());
    let reading = Proxy::start(server.address, cuts, random.next());
    let tail = Running::start(client(&reading.url(), &["tail", &name]));
    let mut append = Running::start(client(&writing.url(), &["append", &name, "--close"]));
    let mut rest = &input[..];
    while !rest.is_empty() {
        let part = rest.len().min(random.below(8 * 1024) + 1);
        append.write(&rest[..part]);
        rest = &rest[part..];
    }
    append.end_input();
    append.wait().out();
    let output = tail.wait().out();
    assert_eq!(output.len(), input.len(), "seed {seed}");
    assert!(output == input, "seed {seed}: the bytes differ");
    writing.cut() + reading.cut()
}

#[test]
fn append_and_tail_carry_every_byte_once_and_in_order_through_cuts() {
    let runs = std::env::var("DS_COMMAND_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    let runs: u64 = runs.unwrap_or(20);
    let server = Server::start();
    let (next, cuts) = (AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs {
                        return;
                    }
                    cuts.fetch_add(append_and_tail(&server, seed), Ordering::Relaxed);
                }
            });
        }
    });
    let cuts = cuts.into_inner();
    println!("{runs} runs, {cuts} cuts");
    assert!(cuts as u64 >= runs, "the proxy cut only {cuts} connections");
}
