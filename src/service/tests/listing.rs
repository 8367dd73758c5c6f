//! Lists of streams: each stream that exists is found once, whatever happens during the walk.

use super::deletion::work_all;
use super::driver::{Response, Server, ask, call, serve};
use super::forks::fork;
use super::subscribing::{assert_refused, ds, json_of, ok};
use super::world::{Quirk, World};
use crate::keys::registry::{decode, encode};
use crate::keys::{Envelope, Keys, NameHash};
use crate::limits::{LIST_BYTES, LIST_LEAVES, SHARDS};
use crate::service::Service;
use kv_model::Random;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Makes names so long that a leaf of the registry has few of them.
const LONG: usize = 600;

fn put(server: &Server, name: &str) {
    assert_eq!(call(server, ask("PUT", name)).status, 201, "{name}");
}

fn exists(server: &Server, name: &str) -> bool {
    call(server, ask("HEAD", name)).status == 200
}

/// A page of the list.
pub(super) fn page(server: &Server, query: &str) -> Value {
    let page = ok(call(server, ds("GET", &format!("streams?{query}"))));
    assert_eq!(page.get("cache-control"), "no-store");
    assert_eq!(page.get("content-type"), "application/json");
    json_of(&page)
}

pub(super) fn names(page: &Value) -> Vec<String> {
    let entries = page["streams"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect()
}

/// All pages, joined. `between` runs after each page.
fn walk(server: &Server, query: &str, mut between: impl FnMut(&[String])) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(server, &format!("{query}{after}"));
        let found = names(&page);
        between(&found);
        all.extend(found);
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

fn all(server: &Server) -> BTreeSet<String> {
    let found = walk(server, "limit=1000", |_| {});
    let names: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(names.len(), found.len(), "a name is there twice: {found:?}");
    names
}

#[test]
fn a_stream_that_exists_during_the_whole_walk_is_listed_exactly_once() {
    for (seed, quirk) in (0..8).zip(Quirk::ALL.into_iter().cycle()) {
        let world = World::new(quirk, seed);
        let server = serve(&world);
        let mut random = Random::new(seed);
        let mut below = |most: usize| usize::try_from(random.next()).unwrap() % most;
        let lasting: Vec<String> = (0..250)
            .map(|number| format!("lasting/{number}/{}", "x".repeat(below(LONG) + 1)))
            .collect();
        let mut passing: Vec<String> = Vec::new();
        for name in &lasting {
            put(&server, name);
            passing.push(format!("passing/{}", &name[8..]));
            put(&server, &passing[passing.len() - 1]);
        }
        let root = Keys::new("").leaf(0, 1).key(0);
        assert!(world.peek(&root).is_some(), "one leaf has all names");
        for limit in [1000, 60, 7] {
            let mut listed: BTreeMap<String, u32> = BTreeMap::new();
            walk(&server, &format!("limit={limit}"), |found| {
                assert!(found.len() <= limit);
                for name in found {
                    // No request changed the stream since, so the list agrees with it.
                    assert!(
                        exists(&server, name),
                        "{name} is listed, but does not exist"
                    );
                    *listed.entry(name.clone()).or_default() += 1;
                }
                for _ in 0..below(6) {
                    let new = format!("passing/new/{}/{}", below(99), "y".repeat(below(LONG)));
                    let new = new.trim_end_matches('/');
                    let made = match below(3) {
                        0 => ask("PUT", new).header("stream-ttl", "1"),
                        1 => fork(new, &lasting[below(lasting.len())]),
                        _ => ask("PUT", new),
                    };
                    if call(&server, made).status == 201 {
                        passing.push(new.to_owned());
                    }
                    let old = passing.swap_remove(below(passing.len()));
                    call(&server, ask("DELETE", &old));
                }
                match below(4) {
                    0 => world.advance(1_000),
                    1 => work_all(&server),
                    _ => {
                        server.work(below(1_000) as u64);
                    }
                }
            });
            for name in &lasting {
                assert_eq!(listed.get(name), Some(&1), "{quirk:?}, by {limit}: {name}");
            }
        }
    }
}

#[test]
fn a_list_has_a_stream_exactly_if_head_finds_it_whatever_was_interrupted() {
    const NAMES: [&str; 3] = ["source", "fork", "other"];
    let calls = [
        ask("PUT", "other"),
        ask("DELETE", "source"),
        ask("PUT", "source"),
        fork("fork", "source"),
    ];
    for (quirk, request) in Quirk::ALL
        .into_iter()
        .flat_map(|quirk| calls.iter().map(move |request| (quirk, request)))
    {
        let mut states = BTreeSet::new();
        for life in 0..40 {
            let world = World::new(quirk, life);
            let server = serve(&world);
            put(&server, "source");
            let doomed = Service::new(world.instance().crashing_after(life));
            call(&doomed, request.clone());
            for _ in 0..2 {
                let found = NAMES.iter().filter(|name| exists(&server, name));
                let found: BTreeSet<String> = found.map(|name| (*name).to_owned()).collect();
                assert_eq!(all(&server), found, "{quirk:?}: {request:?} after {life}");
                states.insert(found);
                world.advance(700_000);
                work_all(&server);
            }
        }
        assert!(!states.is_empty());
    }
}

#[test]
fn an_expired_stream_is_not_listed_even_before_it_is_removed() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    put(&server, "stays");
    for (name, field, value) in [
        ("at", "stream-expires-at", "2026-01-01T00:00:05Z"),
        ("ttl", "stream-ttl", "5"),
        ("source", "stream-ttl", "5"),
    ] {
        assert_eq!(
            call(&server, ask("PUT", name).header(field, value)).status,
            201
        );
    }
    let late = fork("fork", "source").header("stream-ttl", "900");
    assert_eq!(call(&server, late).status, 201);
    assert_eq!(all(&server).len(), 5);
    world.advance(8_000);
    let left = BTreeSet::from(["fork".to_owned(), "stays".to_owned()]);
    assert_eq!(all(&server), left);
}

/// A creation with an unknown outcome enters its name again. If the open leaf is another one by
/// then, two leaves have the entry.
#[test]
fn an_entry_that_two_leaves_have_is_listed_once() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    put(&server, "s");
    let slot = |leaf| Keys::new("").leaf(NameHash::of("s").shard(), leaf).key(0);
    let mut envelope = Envelope::decode(&world.peek(&slot(0)).unwrap()).unwrap();
    let mut root = decode(&envelope.body).unwrap();
    world.poke(&slot(1), Some(&envelope.encode()));
    root.leaves = 2;
    envelope.body = encode(&root).into();
    world.poke(&slot(0), Some(&envelope.encode()));
    assert_eq!(walk(&server, "", |_| {}), ["s"]);
}

/// A world with streams, forks, and names that are left over.
fn crowd(count: usize) -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    for number in 0..count {
        let name = format!("{number}/{}", "x".repeat(number % LONG + 1));
        put(&server, &name);
        if number % 3 == 0 {
            assert_eq!(
                call(&server, fork(&format!("fork/{number}"), &name)).status,
                201
            );
        }
        if number % 5 == 0 {
            call(&server, ask("DELETE", &name));
        }
    }
    (world, server)
}

#[test]
fn a_page_reads_a_bounded_number_of_records() {
    let (_, server) = crowd(400);
    for query in [
        "",
        "&prefix=fork",
        "&prefix=none/at/all",
        "&forked_from=3/xxxx",
    ] {
        for limit in [1, 10, 100, 1000] {
            let (mut after, mut pages) = (String::new(), 0);
            loop {
                let before = server.env().ops();
                let page = page(&server, &format!("limit={limit}{query}{after}"));
                let ops = usize::try_from(server.env().ops() - before).unwrap();
                // A source of the last fork; leaf 0 of a shard with the last leaf.
                assert!(
                    ops <= limit + 1 + LIST_LEAVES + 1,
                    "{ops} for {limit}{query}"
                );
                pages += 1;
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert!(limit == 1 || pages < 200, "{pages} pages of {limit}");
        }
    }
}

#[test]
fn a_page_ends_at_a_mebibyte() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    let source = "\"".repeat(1024);
    put(&server, &source);
    for number in 0..600 {
        assert_eq!(
            call(&server, fork(&number.to_string(), &source)).status,
            201
        );
    }
    let first = ok(call(&server, ds("GET", "streams?limit=1000")));
    let largest = 16 * 1024;
    let range = LIST_BYTES..LIST_BYTES + largest;
    assert!(range.contains(&first.body.len()), "{}", first.body.len());
    assert_eq!(walk(&server, "limit=1000", |_| {}).len(), 601);
}

#[test]
fn a_small_store_is_one_page_without_a_cursor() {
    let world = World::new(Quirk::Plain, 1);
    let server = serve(&world);
    assert_eq!(page(&server, ""), json!({"streams": []}));
    for number in 0..100 {
        put(&server, &number.to_string());
    }
    let one = page(&server, "");
    assert_eq!((names(&one).len(), one.get("next")), (100, None));
    assert_eq!(names(&page(&server, "limit=99")).len(), 99);
    // A name of every shard was listed.
    let shards: BTreeSet<u8> = names(&one)
        .iter()
        .map(|name| NameHash::of(name).shard())
        .collect();
    assert_eq!(shards.len(), usize::from(SHARDS));
}

#[test]
fn a_prefix_selects_complete_segments() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    for name in ["a", "a/b", "a/b/c", "a/bc", "b", "\u{e9}/x"] {
        put(&server, name);
    }
    for (query, expected) in [
        ("prefix=a", &["a", "a/b", "a/b/c", "a/bc"][..]),
        ("prefix=a%2Fb", &["a/b", "a/b/c"]),
        ("prefix=a/b/c&x=y", &["a/b/c"]),
        ("prefix=%C3%A9", &["\u{e9}/x"]),
        ("prefix=c", &[]),
        ("prefix=", &["a", "a/b", "a/b/c", "a/bc", "b", "\u{e9}/x"]),
    ] {
        let mut found = walk(&server, query, |_| {});
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
}

#[test]
fn a_query_that_is_not_valid_is_400() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    put(&server, "s");
    let of_others = page_of_subscriptions_cursor();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "limit=1&limit=1",
        "after=",
        "after=x",
        "after=AAAA%",
        "after=%ff",
        "after=AAAAAAAA",
        "after=a&after=a",
        &format!("after={of_others}"),
        "prefix=/",
        "prefix=a/",
        "prefix=/a",
        "prefix=a//b",
        "prefix=a/../b",
        "prefix=%ff",
        "prefix=__ds",
        "prefix=a&prefix=b",
        "forked_from=a/",
    ] {
        let refused = call(&server, ds("GET", &format!("streams?{query}")));
        assert_refused(&refused, 400, "INVALID_REQUEST");
        assert_eq!(refused.get("cache-control"), "no-store");
    }
}

/// A cursor of the list of subscriptions.
fn page_of_subscriptions_cursor() -> String {
    let world = World::new(Quirk::Guarded, 1);
    let server = super::subscribing::server(&world);
    for id in ["one", "two"] {
        ok(call(&server, super::subscribing::pull(id, "a/*")));
    }
    let page = json_of(&ok(call(&server, ds("GET", "subscriptions?limit=1"))));
    page["next"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_without_a_registry_describes_streams_but_does_not_list_them() {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("registry", "false");
    let server = serve(&world);
    put(&server, "s");
    let refused = call(&server, ds("GET", "streams"));
    assert_refused(&refused, 409, "REGISTRY_OFF");
    let described = json_of(&ok(call(&server, ds("GET", "streams/s"))));
    assert_eq!(described["name"], "s");
    assert_eq!(
        json_of(&ok(call(&server, ds("GET", ""))))["registry"],
        false
    );
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    put(&server, "s");
    for path in ["", "streams", "streams/s", "streams/none", "subscriptions"] {
        let (head, get) = (
            call(&server, ds("HEAD", path)),
            call(&server, ds("GET", path)),
        );
        assert_eq!(
            (head.status, &head.headers),
            (get.status, &get.headers),
            "{path}"
        );
        assert!(head.body.is_empty() && !get.body.is_empty());
        for method in ["PUT", "POST", "DELETE"] {
            let refused = call(&server, ds(method, path));
            let allow = (refused.status, refused.get("allow"));
            assert_eq!(allow, (405, "GET, HEAD, OPTIONS"), "{method} {path}");
        }
    }
}

/// A damaged head would otherwise end every walk at its place.
#[test]
fn a_stream_with_a_damaged_head_is_listed_as_damaged() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    put(&server, "whole");
    put(&server, "damaged");
    let key = Keys::new("").head(&NameHash::of("damaged")).key(0);
    world.poke(&key, Some(b"?"));
    let listed = page(&server, "");
    let entries = listed["streams"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries.contains(&json!({"name": "damaged", "damaged": true})));
    assert!(world.log_lines().iter().any(|line| line.contains(&key)));
    assert_eq!(call(&server, ds("GET", "streams/damaged")).status, 500);
}

/// The store failed while the page was made: no page hides streams by that.
#[test]
fn a_page_is_whole_or_an_error() {
    let (world, server) = crowd(60);
    let whole = all(&server);
    for life in 0..60 {
        let doomed = Service::new(world.instance().crashing_after(life));
        let page: Response = call(&doomed, ds("GET", "streams?limit=1000"));
        match page.status {
            200 => assert_eq!(names(&json_of(&page)).len(), whole.len()),
            status => assert_eq!(status, 503, "{page:?}"),
        }
    }
}
