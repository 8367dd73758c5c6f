//! Writers and readers that go on over restarts, and record the answers.

use crate::client::{Client, Response};
use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// One writer of a stream. Its messages are numbered lines.
pub(crate) struct Writer {
    pub(crate) number: usize,
    stream: String,
    /// Whether it is an idempotent producer, which repeats unacknowledged messages.
    pub(crate) is_producer: bool,
    /// The next message.
    next: u64,
    /// Messages that were acknowledged, in order.
    pub(crate) acknowledged: Vec<u64>,
    /// Messages with an unknown outcome.
    pub(crate) unknown: Vec<u64>,
}

/// The path of a stream.
pub(crate) fn path(stream: usize) -> String {
    format!("/v1/stream/crash/{stream}")
}

impl Writer {
    pub(crate) fn new(number: usize, stream: usize) -> Self {
        Self {
            number,
            stream: path(stream),
            is_producer: number.is_multiple_of(2),
            next: 0,
            acknowledged: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Appends until the server is gone.
    pub(crate) fn run(&mut self, address: SocketAddr, acknowledged: &AtomicU64) {
        let Ok(mut client) = Client::connect(address) else {
            return;
        };
        while self.append(&mut client).is_ok() {
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn append(&mut self, client: &mut Client) -> Result<()> {
        let message = self.next;
        let sent = self.send(client, message);
        // A producer repeats a failed append. A plain writer can't repeat it safely, so it goes on.
        if !(sent.is_err() && self.is_producer) {
            self.next += 1;
        }
        match sent {
            Ok(response) => {
                let status = response.status;
                assert!(matches!(status, 200 | 204), "{status} {}", response.code());
                self.acknowledged.push(message);
                Ok(())
            }
            Err(error) => {
                if !self.is_producer {
                    self.unknown.push(message);
                }
                Err(error)
            }
        }
    }

    fn send(&self, client: &mut Client, message: u64) -> Result<Response> {
        let body = format!("{} {message}\n", self.number);
        let (id, seq) = (format!("writer-{}", self.number), message.to_string());
        let mut headers = vec![("content-type", "text/plain")];
        if self.is_producer {
            headers.extend([("producer-id", &*id), ("producer-epoch", "0")]);
            headers.push(("producer-seq", &seq));
        }
        client.send("POST", &self.stream, &headers, body.as_bytes())
    }

    /// Checks the writer's messages among all lines of the stream.
    pub(crate) fn check(&self, lines: &[(usize, u64)]) {
        let mine = lines.iter().filter(|(writer, _)| *writer == self.number);
        let mine: Vec<u64> = mine.map(|(_, message)| *message).collect();
        let who = self.number;
        assert!(
            mine.is_sorted_by(|one, next| one < next),
            "writer {who}: out of order or doubled"
        );
        let lost = self
            .acknowledged
            .iter()
            .find(|message| mine.binary_search(message).is_err());
        assert_eq!(lost, None, "writer {who}: an acknowledged append is gone");
        let invented = mine.iter().find(|message| {
            let known = self.acknowledged.binary_search(message).is_ok();
            // The message that a producer will send again may already be in the stream.
            !known && !self.unknown.contains(message) && **message != self.next
        });
        assert_eq!(invented, None, "writer {who}: no writer sent this");
    }
}

/// A reader that follows a stream, and all bytes it has read.
pub(crate) struct Reader {
    stream: String,
    offset: String,
    pub(crate) seen: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(stream: usize) -> Self {
        Self {
            stream: path(stream),
            offset: "-1".to_owned(),
            seen: Vec::new(),
        }
    }

    /// Follows until the server is gone.
    pub(crate) fn follow(&mut self, address: SocketAddr) {
        let ended = self.read(address, "&live=long-poll");
        assert!(ended.is_err(), "it is followed for ever");
    }

    /// Reads to the tail.
    pub(crate) fn catch_up(&mut self, address: SocketAddr) {
        self.read(address, "").expect("the server answers");
    }

    /// Reads on to the tail. The live mode then waits there for more.
    fn read(&mut self, address: SocketAddr, mode: &str) -> Result<()> {
        let mut client = Client::connect(address)?;
        loop {
            let target = format!("{}?offset={}{mode}", self.stream, self.offset);
            let response = client.send("GET", &target, &[], b"")?;
            let status = response.status;
            assert!(matches!(status, 200 | 204), "{status} {}", response.code());
            if let Some(offset) = response.header("stream-next-offset") {
                self.offset = offset.to_owned();
            }
            self.seen.extend_from_slice(&response.body);
            if mode.is_empty() && response.header("stream-up-to-date").is_some() {
                return Ok(());
            }
        }
    }
}

/// The lines of a stream.
pub(crate) fn lines(content: &[u8]) -> Vec<(usize, u64)> {
    let text = std::str::from_utf8(content).expect("it is text");
    let line = |line: &str| {
        let (writer, message) = line.split_once(' ')?;
        Some((writer.parse().ok()?, message.parse().ok()?))
    };
    let parse = |text: &str| line(text).unwrap_or_else(|| panic!("no line of ours: {text:?}"));
    text.lines().map(parse).collect()
}
