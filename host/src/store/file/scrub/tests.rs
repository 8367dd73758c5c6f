use super::step;
use crate::store::Store;
use crate::store::file::FileStore;
use crate::store::log::faults::{Fault, FaultyFiles, Operation};
use crate::store::log::{Files, Options, Scrub};
use bytes::Bytes;
use futures::executor::block_on;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

const DIRECTORY: &str = "/store";

/// Incarnation of the stream in the fixture.
const LIFE: &str = "00112233445566778899aabbccddeeff";

/// Head of the stream `rooms/café`.
fn head() -> Vec<u8> {
    let fixture = include_str!("../../../../../tests/fixtures/v1/head.hex");
    let lines = fixture.lines().filter(|line| !line.starts_with('#'));
    let digits: Vec<u8> = lines.flat_map(str::bytes).collect();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

/// Creates a store of several segments with chunks of a stream. Returns their keys and values.
fn sealed_segments(files: &FaultyFiles) -> Vec<(String, Vec<u8>)> {
    let store = open_small(files);
    let mut entries = Vec::new();
    for number in 0..6_u8 {
        let key = format!("c.{LIFE}.000000000000000{number}");
        entries.push((key, vec![number + 1; 3000]));
    }
    for (key, value) in &entries {
        let changed = store
            .set(key, Bytes::from(value.clone()))
            .expect("it writes");
        block_on(store.settle(changed)).expect("it is kept");
    }
    entries
}

fn open_small(files: &FaultyFiles) -> FileStore {
    let options = Options {
        segment_bytes: 4096,
        ..Options::default()
    };
    let files = Arc::new(files.clone());
    let opened = FileStore::open(Path::new(DIRECTORY), files, options, |_| false, 0);
    opened.expect("it opens").0
}

/// Lines that one pass reports, step by step.
fn pass(store: &FileStore, between: impl Fn()) -> Vec<String> {
    let (mut scrub, mut reports) = (Scrub::default(), Vec::new());
    for _ in 0..1000 {
        let mut report = |event: &str, detail: &str| reports.push(format!("{event}: {detail}"));
        let (bytes, is_over) = step(&store.shared, &mut scrub, 1, &mut report);
        if is_over {
            return reports;
        }
        assert!(bytes < 4096, "steps are small");
        between();
    }
    panic!("a pass comes to an end");
}

/// Flips a bit of a segment under an open store.
fn flip(files: &FaultyFiles, bytes: &[u8], offset: usize) {
    for number in 1..20 {
        let name = format!("{number:010}.log");
        let path = Path::new(DIRECTORY).join(&name);
        let names = files.list(Path::new(DIRECTORY)).expect("it lists");
        if !names.contains(&name) {
            continue;
        }
        let file = files.open(&path).expect("it opens");
        let held = files.contents(&path);
        let place = held.windows(bytes.len()).position(|window| window == bytes);
        if let Some(place) = place {
            let at = place - offset;
            let flipped = [held[at] ^ 1];
            let slices = [std::io::IoSlice::new(&flipped)];
            assert_eq!(file.write_at(&slices, at as u64).expect("it writes"), 1);
            return;
        }
    }
    panic!("no segment has these bytes");
}

#[test]
fn a_scrub_finds_nothing_in_a_whole_store_and_names_the_key_of_a_damaged_value() {
    let files = FaultyFiles::default();
    let entries = sealed_segments(&files);
    let store = open_small(&files);
    assert_eq!(pass(&store, || {}), Vec::<String>::new());
    let (key, value) = &entries[2];
    flip(&files, value, 0);
    let reports = pass(&store, || {});
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(
        reports[0].contains(key) && !reports[0].contains("stream"),
        "{reports:?}"
    );
    // Once replaced, the damaged value is not reported.
    let changed = store.set(key, Bytes::from("new")).expect("it writes");
    block_on(store.settle(changed)).expect("it is kept");
    assert_eq!(pass(&store, || {}), Vec::<String>::new());
}

#[test]
fn a_scrub_names_the_stream_of_a_damaged_chunk() {
    let files = FaultyFiles::default();
    let entries = sealed_segments(&files);
    let store = open_small(&files);
    let (key, value) = (format!("s.{}.0", "ab".repeat(20)), head());
    let changed = store.set(&key, Bytes::from(value)).expect("it writes");
    block_on(store.settle(changed)).expect("it is kept");
    flip(&files, &entries[0].1, 0);
    let reports = pass(&store, || {});
    assert!(
        reports.len() == 1 && reports[0].ends_with("stream rooms/café"),
        "{reports:?}"
    );
}

#[test]
fn a_scrub_reports_damage_that_would_make_a_start_fail() {
    let files = FaultyFiles::default();
    let entries = sealed_segments(&files);
    let store = open_small(&files);
    // Damages the key.
    flip(&files, &entries[1].1, 3);
    let reports = pass(&store, || {});
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("unknown keys"), "{reports:?}");
}

#[test]
fn a_scrub_continues_while_appends_arrive_and_compaction_removes_its_segment() {
    let files = FaultyFiles::default();
    let entries = sealed_segments(&files);
    let store = open_small(&files);
    let reports = pass(&store, || {
        for (key, _) in &entries {
            let changed = store.set(key, Bytes::from("short")).expect("it writes");
            block_on(store.settle(changed)).expect("it is kept");
        }
        while store.shared.log.compact().expect("it compacts") {}
    });
    assert_eq!(reports, Vec::<String>::new());
    files.fail(Operation::Read, 1, Fault::Error(ErrorKind::Other));
    let reports = pass(&store, || {});
    assert!(
        reports.iter().all(|line| line.contains("unreadable file")),
        "{reports:?}"
    );
}
