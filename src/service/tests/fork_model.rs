//! Random trees of forks against a model that copies, and the costs of forks.

use super::deletion::work_all;
use super::driver::{Server, ask, call, read_all, serve};
use super::fork_crashes::assert_counts;
use super::forks::{fork, post, put};
use super::world::{Quirk, World};
use crate::protocol::time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A stream in the model.
#[derive(Debug, Clone)]
struct Model {
    bytes: Vec<u8>,
    /// Offsets that the service returned, and the bytes before each.
    offsets: Vec<(String, usize)>,
    closed: bool,
    ends_ms: Option<u64>,
    /// Deleted, and kept for its forks.
    gone: bool,
    parent: Option<String>,
}

/// The streams, by name.
#[derive(Default)]
struct Tree(BTreeMap<String, Model>);

impl Tree {
    fn has_forks(&self, name: &str) -> bool {
        let is_parent = |model: &Model| model.parent.as_deref() == Some(name);
        self.0.values().any(is_parent)
    }

    fn end(&mut self, name: &str) {
        if self.has_forks(name) {
            if let Some(model) = self.0.get_mut(name) {
                model.gone = true;
            }
            return;
        }
        let parent = self.0.remove(name).and_then(|model| model.parent);
        if let Some(parent) = parent.filter(|parent| self.0.get(parent).is_some_and(|p| p.gone)) {
            self.end(&parent);
        }
    }

    fn expire(&mut self, now_ms: u64) {
        let over = |model: &Model| !model.gone && model.ends_ms.is_some_and(|end| end <= now_ms);
        while let Some(name) = self.0.iter().find(|(_, model)| over(model)) {
            let name = name.0.clone();
            self.end(&name);
        }
    }

    fn status(&self, name: &str) -> u16 {
        self.0
            .get(name)
            .map_or(404, |model| if model.gone { 410 } else { 200 })
    }
}

const NAMES: u64 = 7;

struct Run {
    world: Arc<World>,
    server: Server,
    tree: Tree,
    case: String,
}

impl Run {
    fn any(&self, most: u64) -> u64 {
        self.world.random() % most
    }

    fn name(&self) -> String {
        format!("n{}", self.any(NAMES))
    }

    fn create(&mut self) {
        let name = self.name();
        let body = "c".repeat(self.any(30) as usize);
        let created = call(&self.server, put(&name).body(&body));
        match self.tree.status(&name) {
            404 => assert_eq!(created.status, 201, "{}", self.case),
            410 => assert_eq!(created.code(), "PATH_BLOCKED", "{}", self.case),
            _ => assert!(matches!(created.status, 200 | 409), "{}", self.case),
        }
        if created.status == 201 {
            let model = Model {
                offsets: vec![(created.offset().to_owned(), body.len())],
                bytes: body.into_bytes(),
                closed: false,
                ends_ms: None,
                gone: false,
                parent: None,
            };
            self.tree.0.insert(name, model);
        }
    }

    fn fork(&mut self) {
        let (name, source) = (self.name(), self.name());
        let mut asked = fork(&name, &source).body("f");
        let Some(model) = self.tree.0.get(&source).cloned() else {
            assert_eq!(call(&self.server, asked).status, 404, "{}", self.case);
            return;
        };
        let index = self.any(model.offsets.len() as u64 + 1) as usize;
        let mut length = model.bytes.len();
        if let Some((offset, before)) = model.offsets.get(index) {
            asked = asked.header("stream-fork-offset", offset);
            let sub = self.any((length - before).min(40) as u64 + 1) as usize;
            asked = asked.header("stream-fork-sub-offset", sub);
            length = before + sub;
        }
        let mut ends_ms = model.ends_ms;
        if self.any(3) == 0 {
            let end = self.world.now_ms() + 1_000 * (1 + self.any(60));
            asked = asked.header("stream-expires-at", time::format(end));
            ends_ms = Some(end);
        }
        let made = call(&self.server, asked);
        if model.gone {
            // A repeated creation finds its fork.
            let same = self.tree.0.get(&name);
            let is_there = same.is_some_and(|fork| !fork.gone && fork.parent == Some(source));
            match made.status {
                200 => assert!(is_there, "{}", self.case),
                _ => assert_eq!(made.code(), "FORK_FROM_TOMBSTONE", "{}", self.case),
            }
            return;
        }
        match self.tree.status(&name) {
            404 => assert_eq!(made.status, 201, "{}: {made:?}", self.case),
            410 => assert_eq!(made.code(), "PATH_BLOCKED", "{}", self.case),
            _ => assert!(matches!(made.status, 200 | 409), "{}: {made:?}", self.case),
        }
        if made.status != 201 {
            return;
        }
        let mut bytes = model.bytes[..length].to_vec();
        bytes.push(b'f');
        let mut offsets: Vec<_> = model
            .offsets
            .into_iter()
            .filter(|o| o.1 <= length)
            .collect();
        if length == 0 {
            offsets.clear();
        }
        offsets.push((made.offset().to_owned(), bytes.len()));
        let model = Model {
            bytes,
            offsets,
            closed: false,
            ends_ms,
            gone: false,
            parent: Some(source),
        };
        self.tree.0.insert(name, model);
    }

    fn append(&mut self) {
        let name = self.name();
        let count = if self.any(8) == 0 { 70 } else { 1 };
        for n in 0..count {
            let body = format!("<{n}{}>", "x".repeat(self.any(9) as usize));
            let close = count == 1 && self.any(8) == 0;
            let mut append = post(&name, &body);
            if close {
                append = append.header("stream-closed", "true");
            }
            let appended = call(&self.server, append);
            match (self.tree.status(&name), self.tree.0.get_mut(&name)) {
                (200, Some(model)) if !model.closed => {
                    assert_eq!(appended.status, 204, "{}: {appended:?}", self.case);
                    model.bytes.extend_from_slice(body.as_bytes());
                    let last = model.offsets.last().map_or("", |offset| &offset.0);
                    assert!(*appended.offset() > *last, "{}", self.case);
                    let offset = (appended.offset().to_owned(), model.bytes.len());
                    model.offsets.push(offset);
                    model.closed = close;
                }
                (200, _) => assert_eq!(appended.code(), "STREAM_CLOSED", "{}", self.case),
                (status, _) => assert_eq!(appended.status, status, "{}", self.case),
            }
        }
    }

    fn delete(&mut self) {
        let name = self.name();
        let deleted = call(&self.server, ask("DELETE", &name)).status;
        match self.tree.status(&name) {
            200 => {
                assert_eq!(deleted, 204, "{}", self.case);
                self.tree.end(&name);
            }
            status => assert_eq!(deleted, status, "{}", self.case),
        }
        work_all(&self.server);
    }

    fn wait(&mut self) {
        self.world.advance(self.any(20_000));
        self.tree.expire(self.world.now_ms());
        work_all(&self.server);
    }

    /// Reads every stream from every offset that it returned.
    fn read(&self) {
        for n in 0..NAMES {
            let name = format!("n{n}");
            let Some(model) = self.tree.0.get(&name).filter(|model| !model.gone) else {
                let status = call(&self.server, ask("GET", &name)).status;
                assert_eq!(status, self.tree.status(&name), "{} {name}", self.case);
                continue;
            };
            let all = read_all(&self.server, &name);
            assert_eq!(all, model.bytes, "{} {name}", self.case);
            let step = 1 + model.offsets.len() / 12;
            for (offset, before) in model.offsets.iter().step_by(step) {
                let page = call(&self.server, ask("GET", &format!("{name}?offset={offset}")));
                let rest = &model.bytes[*before..];
                // The stream may have more segments than a page.
                assert!(
                    rest.starts_with(&page.body),
                    "{} {name} {offset}",
                    self.case
                );
                assert_eq!(
                    page.body.is_empty(),
                    rest.is_empty(),
                    "{} {name}",
                    self.case
                );
            }
        }
    }
}

/// Number of trees: more with `cargo xtask test --full`.
#[expect(clippy::disallowed_methods, reason = "how much a test does")]
fn seeds() -> u64 {
    let full = std::env::var("DS_TEST_FULL").is_ok_and(|value| value == "1");
    if full { 1_000 } else { 60 }
}

#[test]
fn trees_of_forks_read_as_if_they_had_been_copied() {
    let mut most = 0;
    for seed in 0..seeds() {
        let quirk = [
            Quirk::Guarded,
            Quirk::SpinSqlite,
            Quirk::SpinRedis,
            Quirk::Plain,
        ];
        let world = World::new(quirk[seed as usize % 4], seed);
        world.variable("inline_tail_bytes", ["0", "20", "16384"][seed as usize % 3]);
        let server = serve(&world);
        let case = format!("seed {seed}");
        let tree = Tree::default();
        let mut run = Run {
            world: world.clone(),
            server,
            tree,
            case,
        };
        for n in 0..40 {
            run.case = format!("seed {seed} step {n}");
            match run.any(12) {
                0 | 1 => run.create(),
                2..=4 => run.fork(),
                5..=8 => run.append(),
                9 => run.delete(),
                10 => run.wait(),
                _ => run.read(),
            }
        }
        run.read();
        most = most.max(run.tree.0.len());
        assert_counts(&world, &run.case);
    }
    assert!(most > 2);
    println!("{} trees, at most {most} streams at a time", seeds());
}

/// The shortest of several runs: the machine disturbed it least.
#[expect(clippy::disallowed_methods, reason = "a figure that is printed")]
fn quickest(mut act: impl FnMut()) -> Duration {
    let tries = (0..20).map(|_| {
        let begun = Instant::now();
        act();
        begun.elapsed()
    });
    tries.min().unwrap_or_default()
}

/// The writes of one small append, and the bytes that it swaps into the store.
fn bytes_of_an_append(server: &Server) -> (u64, usize) {
    let world = server.env().world();
    let (writes, ops) = (world.writes(), server.env().ops());
    assert_eq!(call(server, post("s", "x")).status, 204);
    assert_eq!(server.env().ops() - ops, 3, "a handle, a read and a swap");
    let key = crate::keys::Keys::new("")
        .head(&crate::keys::NameHash::of("s"))
        .key(0);
    (world.writes() - writes, world.peek(&key).unwrap().len())
}

#[test]
fn a_source_with_ten_thousand_forks_appends_with_one_small_write() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, put("s").body("data"));
    let before = bytes_of_an_append(&server);
    let (mut costs, mut times) = (Vec::new(), Vec::new());
    for n in 0..10_000 {
        assert_eq!(call(&server, fork(&format!("f{n}"), "s")).status, 201);
        if matches!(n, 0 | 99 | 9_999) {
            let name = format!("f{n}");
            let ops = server.env().ops();
            call(&server, ask("GET", &name));
            costs.push(server.env().ops() - ops);
            times.push(quickest(|| drop(call(&server, ask("GET", &name)))));
        }
    }
    let after = bytes_of_an_append(&server);
    println!("writes and bytes of an append: {before:?}, with 10,000 forks {after:?}");
    println!("operations of a read of the 1st, 100th and 10,000th fork: {costs:?}, {times:?}");
    assert_eq!((before.0, after.0), (1, 1));
    // The ring and the inline tail have one append more, and the fork count takes a few bytes.
    assert!(after.1 <= before.1 + 24);
    assert!(costs.iter().all(|cost| *cost == costs[0]));
}

#[test]
fn a_read_costs_the_same_at_any_depth() {
    for quirk in [Quirk::Guarded, Quirk::SpinSqlite] {
        let world = World::new(quirk, 1);
        world.variable("inline_tail_bytes", "0");
        let server = serve(&world);
        call(&server, put("d0"));
        let mut expected = Vec::new();
        for n in 0..200 {
            let body = format!("<{n}>");
            call(&server, post("d0", &body));
            expected.extend_from_slice(body.as_bytes());
        }
        let (mut costs, mut times) = (BTreeMap::new(), BTreeMap::new());
        for depth in 1..=50_u64 {
            let made = call(
                &server,
                fork(&format!("d{depth}"), &format!("d{}", depth - 1)),
            );
            assert_eq!(made.status, 201);
            let name = format!("d{depth}");
            let ops = server.env().ops();
            assert_eq!(read_all(&server, &name), expected);
            costs.insert(depth, server.env().ops() - ops);
            times.insert(depth, quickest(|| drop(read_all(&server, &name))));
        }
        let cost = |depth| costs[&depth];
        let (one, ten, fifty) = (cost(1), cost(10), cost(50));
        let times = [1, 10, 50].map(|depth| times[&depth]);
        println!(
            "{quirk:?}: operations of a whole read at depth 1, 10, 50: {one}, {ten}, {fifty}; \
             {times:?}"
        );
        assert!(fifty * 10 <= one * 12 && ten * 10 <= one * 12);
    }
}
