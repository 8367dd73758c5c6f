//! Sequences of operations, each answer compared with that of a model; and in the end, when all is
//! deleted, nothing is left in the store but what marks that it was there.

use crate::input::Input;
use crate::model::{Append, Mark, Model, Stream, Verdict};
use crate::world::{Ask, Response, Server, World, call, serve};
use durable_streams_edge::protocol::time;
use std::collections::BTreeMap;
use std::rc::Rc;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const START: &str = "0000000000000000_0000000000000000";
/// Operations of one input.
const MOST: usize = 200;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let world = World::new(u64::from(input.byte()));
    world.variable("inline_tail_bytes", ["0", "9", "16384"][input.below(3)]);
    let mut run = Run {
        server: serve(&world),
        world,
        model: Model::default(),
        ended: BTreeMap::new(),
        rounds: 0,
    };
    for _ in 0..MOST {
        if input.is_over() {
            break;
        }
        run.step(&mut input);
    }
    run.read_all();
    run.clear();
}

struct Run {
    world: Rc<World>,
    server: Server,
    model: Model,
    /// The highest offset of the lives of a name that are over.
    ended: BTreeMap<&'static str, String>,
    rounds: u64,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        self.model.expire(self.world.now_ms());
        let name = NAMES[input.below(NAMES.len())];
        match input.below(16) {
            0 | 1 => self.create(name, input),
            2..=6 => self.append(name, input),
            7 | 8 => self.fork(name, input),
            9 => self.delete(name),
            10 | 11 => self.read(name, input.below(64)),
            12 => {
                self.world.advance(u64::from(input.byte()) * 100);
                // What expired keeps its source until somebody notices.
                self.work(200);
            }
            13 => self.work(4),
            // Another instance knows as much as this one.
            14 => self.server = serve(&self.world),
            _ => self.head(name),
        }
    }

    fn messages(input: &mut Input<'_>, json: bool) -> Vec<Vec<u8>> {
        let count = if json { 1 + input.below(3) } else { 1 };
        let messages = (0..count).map(|_| match json {
            true => input.byte().to_string().into_bytes(),
            false => {
                let length = 1 + input.below(12);
                let mut bytes = input.bytes(length).to_vec();
                bytes.push(b'.');
                bytes
            }
        });
        messages.collect()
    }

    fn body(messages: &[Vec<u8>], json: bool) -> Vec<u8> {
        match json {
            true => [b"[", &*messages.join(&b","[..]), b"]"].concat(),
            false => messages.concat(),
        }
    }

    const fn content_type(json: bool) -> &'static str {
        if json {
            "application/json"
        } else {
            "text/plain"
        }
    }

    /// An end that a creation asks for, to the second: some are over at once.
    fn end(&self, input: &mut Input<'_>) -> Option<u64> {
        let seconds = u64::from(input.byte());
        (seconds > 200).then(|| (self.world.now_ms() / 1000 + seconds - 200) * 1000)
    }

    fn create(&mut self, name: &'static str, input: &mut Input<'_>) {
        let (json, close) = (input.flag(), input.below(8) == 0);
        let ends_ms = self.end(input);
        let messages = match input.flag() {
            true => Self::messages(input, json),
            false => Vec::new(),
        };
        let mut ask = Ask::new("PUT", name).with("content-type", Self::content_type(json));
        if let Some(ms) = ends_ms {
            ask = ask.with("stream-expires-at", &time::format(ms));
        }
        if close {
            ask = ask.with("stream-closed", "true");
        }
        if !messages.is_empty() {
            ask.body = Self::body(&messages, json);
        }
        let response = call(&self.server, &ask);
        let expected = match (self.model.status(name), self.model.get(name)) {
            (404, _) => 201,
            (_, Some(known)) => {
                let same = known.parent.is_none()
                    && (known.json, known.closed, known.ends_ms) == (json, close, ends_ms);
                if same { 200 } else { 409 }
            }
            (_, None) => 409,
        };
        assert_eq!(response.status, expected, "PUT {name}: {response:?}");
        if response.status == 201 {
            let stream = Stream {
                json,
                messages,
                closed: close,
                ends_ms,
                ..Stream::default()
            };
            self.begin(name, stream, &response);
        }
    }

    /// Enters a life that began.
    fn begin(&mut self, name: &'static str, mut stream: Stream, response: &Response) {
        let tail = response.header("stream-next-offset").to_owned();
        let fresh = stream.parent.is_none() && !stream.messages.is_empty();
        if let (Some(last), true) = (self.ended.get(name), fresh) {
            assert!(tail > *last, "{name}: {tail} was given out before {last}");
        }
        stream.offsets.push((tail, stream.messages.len()));
        self.model.insert(name, stream);
        self.model.expire(self.world.now_ms());
    }

    fn fork(&mut self, name: &'static str, input: &mut Input<'_>) {
        let source = NAMES[input.below(NAMES.len())];
        let place = input.below(64);
        let ends_ms = self.end(input);
        let has_body = input.flag();
        let known = self.model.get(source).cloned();
        let json = known.as_ref().is_some_and(|known| known.json);
        let own = match has_body {
            true => Self::messages(input, json),
            false => Vec::new(),
        };
        let at = known
            .as_ref()
            .and_then(|known| known.offsets.get(place))
            .cloned();
        let mut ask =
            Ask::new("PUT", name).with("stream-forked-from", &format!("/v1/stream/{source}"));
        if let Some((offset, _)) = &at {
            ask = ask.with("stream-fork-offset", offset);
        }
        if let Some(ms) = ends_ms {
            ask = ask.with("stream-expires-at", &time::format(ms));
        }
        if has_body {
            ask.body = Self::body(&own, json);
        }
        let response = call(&self.server, &ask);
        let Some(known) = known else {
            let refused = [self.model.status(source), 409];
            assert!(
                refused.contains(&response.status),
                "of {source}: {response:?}"
            );
            return;
        };
        if self.model.status(name) != 404 {
            assert!(matches!(response.status, 200 | 409), "{name}: {response:?}");
            return;
        }
        assert_eq!(response.status, 201, "{name} of {source}: {response:?}");
        let count = at.map_or(known.messages.len(), |(_, count)| count);
        let mut messages = known.messages.clone();
        messages.truncate(count);
        messages.extend(own);
        let mut offsets = known.offsets.clone();
        offsets.retain(|(_, before)| *before <= count);
        let stream = Stream {
            json,
            messages,
            offsets,
            ends_ms: ends_ms.or(known.ends_ms),
            parent: Some(source.to_owned()),
            ..Stream::default()
        };
        self.begin(name, stream, &response);
    }

    fn append(&mut self, name: &'static str, input: &mut Input<'_>) {
        let json = input.flag();
        let bits = input.byte();
        let alone = bits & 7 == 0;
        let messages = (!alone).then(|| Self::messages(input, json));
        let mark = (bits & 8 != 0).then(|| Mark {
            producer: input.below(2),
            epoch: input.below(3) as u64,
            seq: input.below(4) as u64,
        });
        let append = Append {
            json,
            messages,
            mark,
            seq: (bits & 16 != 0).then(|| format!("{:03}", input.byte())),
            close: alone || bits & 0xe0 == 0xe0,
        };
        let mut ask = Ask::new("POST", name);
        if let Some(messages) = &append.messages {
            ask = ask.with("content-type", Self::content_type(json));
            ask.body = Self::body(messages, json);
        }
        if let Some(mark) = mark {
            ask = ask
                .with("producer-id", &format!("p{}", mark.producer))
                .with("producer-epoch", &mark.epoch.to_string())
                .with("producer-seq", &mark.seq.to_string());
        }
        if let Some(seq) = &append.seq {
            ask = ask.with("stream-seq", seq);
        }
        if append.close {
            ask = ask.with("stream-closed", "true");
        }
        let response = call(&self.server, &ask);
        let status = self.model.status(name);
        let Some(stream) = self.model.get_mut(name) else {
            assert_eq!(response.status, status, "POST {name}: {response:?}");
            return;
        };
        let before = stream.tail().to_owned();
        let verdict = stream.append(&append);
        let tail = response.header("stream-next-offset");
        let fits = match verdict {
            Verdict::Accepted => matches!(response.status, 200 | 204),
            Verdict::Done => response.status == 204,
            Verdict::Fenced => response.status == 403,
            Verdict::Refused => matches!(response.status, 400 | 409),
        };
        assert!(fits, "{append:?} to {name} is {verdict:?}: {response:?}");
        match verdict {
            Verdict::Accepted if append.messages.is_some() => {
                assert!(tail > &*before, "{tail} after {before}");
                let count = stream.messages.len();
                stream.offsets.push((tail.to_owned(), count));
            }
            Verdict::Accepted | Verdict::Done => assert_eq!(tail, before),
            Verdict::Fenced | Verdict::Refused => {}
        }
    }

    fn delete(&mut self, name: &'static str) {
        let status = call(&self.server, &Ask::new("DELETE", name)).status;
        let expected = match self.model.status(name) {
            200 => 204,
            absent => absent,
        };
        assert_eq!(status, expected, "DELETE {name}");
        if let Some(stream) = self.model.get(name) {
            let tail = stream.tail().to_owned();
            let last = self.ended.entry(name).or_insert_with(|| START.to_owned());
            *last = tail.max(last.clone());
            self.model.end(name);
            // A source goes with its last fork, and the source of that, a step at a time.
            self.work(100);
        }
    }

    fn head(&self, name: &str) {
        let response = call(&self.server, &Ask::new("HEAD", name));
        assert_eq!(response.status, self.model.status(name), "HEAD {name}");
        if let Some(stream) = self.model.get(name) {
            assert_eq!(response.header("stream-next-offset"), stream.tail());
            assert_eq!(response.header("stream-closed") == "true", stream.closed);
        }
    }

    fn read(&self, name: &str, place: usize) {
        let known = self.model.get(name);
        let place = known.and_then(|known| known.offsets.get(place));
        let (offset, from) = place.map_or(("-1", 0), |(offset, from)| (offset, *from));
        let mut ask = Ask::new("GET", name);
        ask.target += &format!("?offset={offset}");
        let response = call(&self.server, &ask);
        assert_eq!(
            response.status,
            self.model.status(name),
            "GET {name}: {response:?}"
        );
        let Some(stream) = known else { return };
        let (body, expected) = (&response.body, stream.body(from));
        assert_eq!(
            String::from_utf8_lossy(body),
            String::from_utf8_lossy(&expected),
            "{name} at {offset}"
        );
        assert_eq!(response.header("stream-next-offset"), stream.tail());
        assert_eq!(response.header("stream-up-to-date"), "true");
        assert_eq!(response.header("stream-closed") == "true", stream.closed);
    }

    fn read_all(&mut self) {
        self.model.expire(self.world.now_ms());
        for name in NAMES {
            let places = self
                .model
                .get(name)
                .map_or(0, |stream| stream.offsets.len());
            for place in 0..=places {
                self.read(name, place);
            }
        }
    }

    fn work(&mut self, rounds: u64) {
        for _ in 0..rounds {
            self.server.work(self.rounds);
            self.rounds += 1;
        }
    }

    /// Deletes everything.
    fn clear(&mut self) {
        for name in NAMES {
            self.delete(name);
        }
        for _ in 0..3 {
            self.work(400);
            // What seems to be under way is left to others for a while.
            self.world.advance(700_000);
        }
        let kept = |key: &String| ["c.", "i.", "d."].iter().any(|kind| key.starts_with(kind));
        let left: Vec<_> = self.world.keys().into_iter().filter(kept).collect();
        assert!(left.is_empty(), "{left:?} is left of what was deleted");
    }
}
