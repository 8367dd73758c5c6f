//! Reads that begin near the tail, against a model that keeps all messages and bytes.

use super::deletion::work_all;
use super::driver::{Server, ask, call, serve};
use super::forks::fork;
use super::tail::{JSON, OCTETS, TEXT, get, post, rest};
use super::world::{Quirk, World};
use crate::service::exchange::Next;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Content of a stream in the model.
#[derive(Debug, Clone)]
enum Content {
    Messages(Vec<Vec<u8>>),
    Text(Vec<u8>),
    Octets(Vec<u8>),
}

impl Content {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Messages(_) => JSON,
            Self::Text(_) => TEXT,
            Self::Octets(_) => OCTETS,
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Messages(messages) => messages.len(),
            Self::Text(bytes) | Self::Octets(bytes) => bytes.len(),
        }
    }

    /// The last messages or bytes. Text begins with a character, of which the last one may be
    /// incomplete.
    fn last(&self, count: usize) -> Vec<u8> {
        let from = self.len().saturating_sub(count);
        match self {
            Self::Messages(messages) => {
                let last = messages[from..].iter();
                last.flat_map(|one| [one, &b","[..]].concat()).collect()
            }
            Self::Octets(bytes) => bytes[from..].to_vec(),
            Self::Text(bytes) => {
                let whole = bytes.utf8_chunks().next();
                let whole = whole.map_or("", |chunk| chunk.valid());
                let from = (from..whole.len()).find(|at| whole.is_char_boundary(*at));
                bytes[from.unwrap_or(whole.len())..].to_vec()
            }
        }
    }
}

/// Random operations on streams, and their contents.
struct Run {
    world: Arc<World>,
    server: Server,
    streams: BTreeMap<String, Content>,
    /// Text of which the streams get the next bytes, whether or not they end a character.
    text: Vec<u8>,
    timeline: u64,
    steps_again: usize,
}

impl Run {
    fn any(&self, most: usize) -> usize {
        (self.world.random() % most as u64) as usize
    }

    fn name(&self) -> String {
        format!("n{}", self.any(4))
    }

    fn message(&self) -> Vec<u8> {
        let text = match self.any(30) {
            0 => "x".repeat(300_000 + self.any(300_000)),
            1 => "[\\\",".repeat(20_000),
            2..8 => "],{".repeat(self.any(600)),
            _ => return [&b"0"[..], b"{\"a\":[1,{}]}", b"\",\"", b"[ ]"][self.any(4)].to_vec(),
        };
        format!("{{\"a\":[\"{text}\",2],\"b\":3}}").into_bytes()
    }

    fn create(&mut self) {
        let name = self.name();
        if self.streams.contains_key(&name) {
            if self.any(4) == 0 && self.streams.len() > 1 {
                assert_eq!(call(&self.server, ask("DELETE", &name)).status, 204);
                work_all(&self.server);
                self.streams.remove(&name);
            }
            return;
        }
        let content = match self.any(3) {
            0 => Content::Octets(Vec::new()),
            1 => Content::Text(Vec::new()),
            _ => Content::Messages(Vec::new()),
        };
        let created = call(&self.server, ask("PUT", &name).content_type(content.kind()));
        // The name may be kept for the forks of its last stream.
        if created.status == 201 {
            self.streams.insert(name, content);
        }
    }

    fn fork(&mut self) {
        let (name, source) = (self.name(), self.name());
        let Some(content) = self.streams.get(&source).cloned() else {
            return;
        };
        if self.streams.contains_key(&name) {
            return;
        }
        let sub = self.any(content.len().min(20) + 1);
        let mut asked = fork(&name, &source);
        let mut content = content;
        if self.any(2) == 0 {
            asked = asked.header("stream-fork-offset", "-1");
            asked = asked.header("stream-fork-sub-offset", sub);
            match &mut content {
                Content::Messages(messages) => messages.truncate(sub),
                Content::Text(bytes) | Content::Octets(bytes) => bytes.truncate(sub),
            }
        }
        let made = call(&self.server, asked);
        if made.status == 201 {
            self.streams.insert(name, content);
        }
    }

    fn append(&mut self) {
        let name = self.name();
        let often = if self.any(6) == 0 { 70 } else { 1 };
        for _ in 0..often {
            let messages: Vec<_> = (0..=self.any(3)).map(|_| self.message()).collect();
            let large = self.any(20) == 0;
            let length = 1 + self.any(if large { 400_000 } else { 9 });
            let Some(content) = self.streams.get_mut(&name) else {
                return;
            };
            let body = match content {
                Content::Messages(all) => {
                    let body = [b"[", &*messages.join(&b","[..]), b"]"].concat();
                    all.extend(messages);
                    body
                }
                Content::Text(bytes) | Content::Octets(bytes) => {
                    let from = bytes.len() % self.text.len();
                    let more = self.text.iter().cycle().skip(from).take(length);
                    let more: Vec<u8> = more.copied().collect();
                    bytes.extend_from_slice(&more);
                    more
                }
            };
            post(&self.server, &name, content.kind(), body);
        }
    }

    /// The store begins a new timeline.
    fn restore(&mut self) {
        self.timeline += 1;
        let timeline = self.timeline.to_string();
        self.world.variable("timeline", &timeline);
        self.server = serve(&self.world);
    }

    fn read(&mut self, case: &str) {
        for (name, content) in &self.streams {
            let length = content.len();
            let near = 1 + self.any(length.min(40) + 2);
            let any = 1 + self.any(length + 5);
            for count in [1, 2, 3, 4, near, any, length, length + 1] {
                let count = count.clamp(1, 10_000);
                let found = rest(&self.server, name, count as u64);
                let expected = content.last(count);
                let kind = content.kind();
                assert!(
                    found == expected,
                    "{case}: {name} ({kind}, {length}) with tail {count}: {} bytes, not {}",
                    found.len(),
                    expected.len(),
                );
            }
            let ask = get(name, "tail=10000");
            let answer = self.server.start(&[ask.raw()], None).remove(0);
            self.steps_again += usize::from(matches!(answer.next, Next::Again { .. }));
        }
    }
}

/// Number of runs: more with `cargo xtask test --full`.
#[expect(clippy::disallowed_methods, reason = "how much a test does")]
fn seeds() -> u64 {
    let full = std::env::var("DS_TEST_FULL").is_ok_and(|value| value == "1");
    if full { 400 } else { 40 }
}

#[test]
fn the_tail_of_any_stream_is_its_last_messages_or_bytes() {
    let mut steps_again = 0;
    for seed in 0..seeds() {
        let quirk = Quirk::ALL[seed as usize % 4];
        let world = World::new(quirk, seed);
        let setup = seed as usize / 4 % 3;
        world.variable("inline_tail_bytes", ["0", "200", "16384"][setup]);
        world.variable("page_bytes", ["1048576", "300000"][seed as usize % 2]);
        let mut run = Run {
            server: serve(&world),
            world,
            streams: BTreeMap::new(),
            text: "a\u{e9}\u{20ac}b\u{1d11e}\r\n".as_bytes().to_vec(),
            timeline: 0,
            steps_again: 0,
        };
        for step in 0..30 {
            match run.any(12) {
                0..3 => run.create(),
                3 | 4 => run.fork(),
                5..10 => run.append(),
                10 if run.any(2) == 0 => run.restore(),
                _ => run.read(&format!("seed {seed} step {step}")),
            }
        }
        run.read(&format!("seed {seed}"));
        steps_again += run.steps_again;
    }
    assert!(steps_again > 0, "no search took several steps");
}
