//! Sequences of operations, with each answer compared with the answer of a model. At the end
//! everything is deleted, and the store keeps only the marks of deleted streams.

mod followers;
mod forks;
mod leases;
mod reads;
mod writes;

use crate::input::Input;
use crate::model::{End, Model};
use crate::world::{Ask, Server, World, call, serve};
use durable_streams_edge::limits::SHARDS;
use durable_streams_edge::protocol::time;
use followers::Follower;
use serde_json::Value;
use std::rc::Rc;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Choices from here on are operations of leases and conditional appends.
const LEASES: u8 = 208;

/// Most operations of one input.
const MOST: usize = 200;

pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let world = World::new(u64::from(input.byte()));
    let setup = input.byte();
    let inline = ["0", "9", "16384"][usize::from(setup % 3)];
    let page = ["1048576", "7", "1"][usize::from(setup / 3 % 3)];
    world.variable("inline_tail_bytes", inline);
    world.variable("page_bytes", page);
    let mut run = Run {
        server: serve(&world),
        world,
        model: Model::default(),
        followers: Vec::new(),
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
    followers: Vec<Follower>,
    rounds: u64,
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        self.model.expire(self.world.now_ms());
        let name = NAMES[input.below(NAMES.len())];
        let choice = input.byte();
        if choice >= LEASES {
            return self.lease(name, choice - LEASES, input);
        }
        match choice % 20 {
            0 | 1 => self.create(name, input),
            2..=5 => self.append(name, input),
            6 => self.append_often(name, input),
            7 | 8 => self.fork(name, input),
            9 => self.delete(name),
            10 | 11 => self.read(name, input),
            12 => {
                self.world.advance(u64::from(input.byte()) * 100);
                self.model.expire(self.world.now_ms());
                // An expired fork holds its source until background work ends it.
                self.settle();
            }
            13 => {
                let _: bool = self.work();
            }
            // All state is in the store, so a new instance goes on.
            14 => self.server = serve(&self.world),
            15 => self.poll(name, input),
            16 | 17 => self.follow(name, input),
            18 => self.catch_up(),
            _ => {
                self.head(name);
                self.list();
            }
        }
    }

    /// Expiry in a creation: some streams have expired at once.
    fn end(&self, input: &mut Input<'_>) -> End {
        let byte = u64::from(input.byte());
        match byte {
            0..=160 => End::Never,
            161..=200 => End::Idle((byte - 161) / 4),
            _ => End::At((self.world.now_ms() / 1000 + byte - 200) * 1000),
        }
    }

    fn delete(&mut self, name: &'static str) {
        let status = call(&self.server, &Ask::new("DELETE", name)).status;
        let expected = match self.model.status(name) {
            200 => 204,
            absent => absent,
        };
        assert_eq!(status, expected, "DELETE {name}");
        if self.model.get(name).is_some() {
            self.model.end(name);
            // A source goes with its last fork, and then the source of that source, one step at a
            // time.
            self.settle();
        }
    }

    fn head(&self, name: &str) {
        let response = call(&self.server, &Ask::new("HEAD", name));
        assert_eq!(response.status, self.model.status(name), "HEAD {name}");
        if let Some(stream) = self.model.get(name) {
            assert_eq!(response.header("stream-next-offset"), stream.tail());
            assert_eq!(response.header("stream-closed") == "true", stream.closed);
            let reason = response.header("stream-closed-reason");
            assert_eq!(reason, stream.reason.unwrap_or_default(), "HEAD {name}");
            self.check_lease(name, &response);
            assert_eq!(response.header("content-type"), stream.kind.content_type());
        }
    }

    /// Lists all streams, one to a page, and compares them with the model.
    fn list(&self) {
        let (mut listed, mut after) = (Vec::new(), String::new());
        loop {
            let ask = Ask::new("GET", &format!("__ds/streams?limit=1{after}"));
            let response = call(&self.server, &ask);
            assert_eq!(response.status, 200, "{ask:?}: {response:?}");
            let page: Value = serde_json::from_slice(&response.body).expect("pages are JSON");
            let entries = page.get("streams").and_then(Value::as_array);
            listed.extend(entries.expect("a list").clone());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let text = |entry: &Value, field: &str| {
            let value = entry.get(field).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let mut tails: Vec<_> = listed
            .iter()
            .map(|entry| (text(entry, "name"), text(entry, "next_offset")))
            .collect();
        tails.sort();
        let streams = NAMES
            .iter()
            .filter_map(|name| Some((*name, self.model.get(name)?)));
        let expected: Vec<_> = streams
            .map(|(name, stream)| (name.to_owned(), stream.tail().to_owned()))
            .collect();
        assert_eq!(tails, expected);
    }

    /// Does one piece of background work. Returns whether there was work to do.
    fn work(&mut self) -> bool {
        self.rounds += 1;
        self.server.work(self.rounds).worked
    }

    /// Works until two rounds over all shards find nothing to do.
    fn settle(&mut self) {
        let mut idle = 0;
        while idle < 2 * SHARDS {
            idle = if self.work() { 0 } else { idle + 1 };
        }
    }

    /// Deletes everything.
    fn clear(&mut self) {
        for name in NAMES {
            self.delete(name);
        }
        self.catch_up();
        assert!(self.followers.is_empty(), "a follower of a deleted stream");
        for _ in 0..3 {
            self.settle();
            // Work that seems under way is left to its instance for a while.
            self.world.advance(700_000);
        }
        let kept = |key: &String| ["c.", "i.", "d."].iter().any(|kind| key.starts_with(kind));
        let left: Vec<_> = self.world.keys().into_iter().filter(kept).collect();
        assert!(left.is_empty(), "{left:?} is left of deleted streams");
    }
}

/// Adds the fields for this expiry.
fn ending(ask: Ask, end: End) -> Ask {
    match end {
        End::Never => ask,
        End::At(ms) => ask.with("stream-expires-at", &time::format(ms)),
        End::Idle(secs) => ask.with("stream-ttl", &secs.to_string()),
    }
}
