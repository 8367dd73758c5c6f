mod store;

use super::salvage;
use crate::check::{Salvaged, check};
use crate::store::log::faults::Random;
use crate::store::log::whereabouts::stretches;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A store and its contents.
struct Stored {
    directory: tempfile::TempDir,
    streams: BTreeMap<String, store::Read>,
    others: BTreeMap<String, Vec<u8>>,
}

/// The output of a salvage.
struct Out {
    report: Salvaged,
    streams: BTreeMap<String, store::Read>,
    others: BTreeMap<String, Vec<u8>>,
}

impl Stored {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        store::write(directory.path(), seed);
        let (streams, others) = store::read(directory.path());
        assert!(streams.len() > 3 && streams.values().all(|stream| stream.bytes.is_ok()));
        Self {
            directory,
            streams,
            others,
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).expect("it reads");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut logs: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
            .collect();
        logs.sort();
        logs
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.directory.path()).expect("it reads");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .map(|path| (path.clone(), fs::read(path).expect("it reads")))
            .collect()
    }

    /// Salvages the store in its present state. The store must stay unchanged, and the output must
    /// be whole.
    fn salvage(&self) -> Out {
        let before = self.files();
        let parent = tempfile::tempdir().expect("a directory");
        let to = parent.path().join("out");
        let report = salvage(self.directory.path(), &to, &mut |_| {}).expect("it salvages");
        assert!(self.files() == before, "the store was changed");
        let checked = check(&to, false, false).expect("it can be checked");
        assert!(checked.is_whole(), "{checked}\n{report}");
        assert_eq!(checked.counts.left_over, 0, "{checked}");
        let damaged = report.damaged_streams().count();
        assert_eq!(checked.holes() > 0, damaged > 0, "{checked}\n{report}");
        let (streams, others) = store::read(&to);
        Out {
            report,
            streams,
            others,
        }
    }

    /// Asserts that every stream and record is unchanged, except for these keys.
    fn expect_untouched(&self, out: &Out, touched: &BTreeSet<String>) {
        let report = &out.report;
        let damaged: Vec<&str> = report.damaged_streams().collect();
        for (name, stream) in &self.streams {
            let found = out.streams.get(name);
            if !stream.keys.iter().any(|key| touched.contains(key)) {
                let found = found.map(|found| &found.bytes);
                assert_eq!(found, Some(&stream.bytes), "{name}\n{report}");
            } else if damaged.contains(&name.as_str()) {
                assert!(found.is_some_and(|found| found.bytes.is_err()), "{name}");
            } else if found != Some(stream) {
                assert!(!report.is_whole(), "{name} is not as it was\n{report}");
            }
        }
        for (key, value) in &self.others {
            if !touched.contains(key) {
                assert_eq!(out.others.get(key), Some(value), "{key}\n{report}");
            }
        }
    }
}

fn number(segment: &Path) -> u32 {
    let stem = segment.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).expect("a number")
}

/// Keys that may change when this byte is damaged.
fn keys_at(segment: &Path, dir: &Path, at: usize) -> BTreeSet<String> {
    let stretches = stretches(dir, number(segment)).into_iter();
    let hit = stretches.filter(|one| (one.begin..one.end).contains(&(at as u64)));
    hit.flat_map(|one| one.keys).collect()
}

#[test]
fn a_whole_store_is_copied_as_it_is() {
    for seed in 0..4 {
        let stored = Stored::new(seed);
        let out = stored.salvage();
        assert!(out.report.is_whole(), "{}", out.report);
        stored.expect_untouched(&out, &BTreeSet::new());
        assert_eq!(out.streams.len(), stored.streams.len());
    }
}

/// Damage of a record affects only the record's own key, wherever in a batch the damage is.
#[test]
fn any_flipped_bit_leaves_all_streams_that_it_does_not_hit() {
    let full = std::env::var("DS_TEST_FULL").is_ok_and(|full| full == "1");
    let (seeds, flips) = if full { (20, 500) } else { (3, 25) };
    for seed in 0..seeds {
        let stored = Stored::new(seed);
        let segments = stored.segments();
        assert!(segments.len() > 2);
        let mut random = Random::new(seed);
        for _ in 0..flips {
            let segment = &segments[random.below(segments.len())];
            let whole = fs::read(segment).expect("it reads");
            // Most bytes of the newest segment are zeros.
            let used = whole.iter().rposition(|byte| *byte != 0).expect("a batch");
            let at = random.below(used + 40).min(whole.len() - 1);
            let touched = keys_at(segment, stored.directory.path(), at);
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << random.below(8);
            fs::write(segment, flipped).expect("it writes");
            let out = stored.salvage();
            stored.expect_untouched(&out, &touched);
            fs::write(segment, whole).expect("it writes");
        }
    }
}

#[test]
fn without_a_segment_all_values_outside_it_are_copied() {
    let stored = Stored::new(7);
    for segment in stored.segments() {
        let dir = stored.directory.path();
        let keys = stretches(dir, number(&segment)).into_iter();
        let touched: BTreeSet<String> = keys.flat_map(|one| one.keys).collect();
        let whole = fs::read(&segment).expect("it reads");
        fs::remove_file(&segment).expect("it is there");
        let out = stored.salvage();
        let report = out.report.to_string();
        assert!(report.contains("Any key may have lost its newest value"));
        assert!(report.contains(": missing"), "{report}");
        stored.expect_untouched(&out, &touched);
        fs::write(&segment, whole).expect("it writes");
    }
}

#[test]
fn without_a_manifest_all_values_are_copied() {
    let stored = Stored::new(8);
    let manifest = stored.directory.path().join("MANIFEST");
    fs::write(manifest, "no names").expect("it writes");
    let out = stored.salvage();
    assert!(!out.report.is_whole());
    stored.expect_untouched(&out, &BTreeSet::new());
}

/// Flips a bit in the value of a key.
fn damage_value(stored: &Stored, value: &[u8]) {
    for segment in stored.segments() {
        let mut bytes = fs::read(&segment).expect("it reads");
        let place = bytes.windows(value.len()).rposition(|held| held == value);
        if let Some(place) = place {
            bytes[place + value.len() / 2] ^= 1;
            fs::write(segment, bytes).expect("it writes");
            return;
        }
    }
    panic!("the value is not there");
}

#[test]
fn a_stream_with_a_lost_chunk_is_listed_by_its_offsets_and_read_except_for_them() {
    let stored = Stored::new(9);
    let bytes = stored.streams["s0"].bytes.clone().expect("it reads");
    // A place in the middle of the stream; an index block lists its first 64 segments.
    damage_value(&stored, &bytes[bytes.len() / 2..][..20]);
    let out = stored.salvage();
    let report = out.report.to_string();
    assert!(
        report.contains("DAMAGED stream s0: from offset 00"),
        "{report}"
    );
    assert!(!report.contains("Any key may have lost"), "{report}");
    assert!(out.streams["s0"].bytes.is_err());
}

#[test]
fn a_stream_without_a_head_is_named_by_the_registry() {
    let stored = Stored::new(10);
    let bytes = stored.streams["s6"].bytes.clone().expect("it reads");
    damage_value(&stored, &bytes);
    let out = stored.salvage();
    assert_eq!(out.report.lost_streams().collect::<Vec<_>>(), ["s6"]);
    assert!(!out.streams.contains_key("s6"));
}

#[test]
fn an_output_that_is_used_or_inside_of_the_store_is_refused() {
    let stored = Stored::new(11);
    let dir = stored.directory.path();
    for to in [dir.to_owned(), dir.join("out"), dir.join("a/b")] {
        let refused = salvage(dir, &to, &mut |_| {}).expect_err("it is refused");
        assert!(refused.to_string().contains("an empty or a new directory"));
    }
    let nothing = tempfile::tempdir().expect("a directory");
    let to = tempfile::tempdir().expect("a directory");
    let refused = salvage(nothing.path(), to.path(), &mut |_| {}).expect_err("no store");
    assert!(
        refused
            .to_string()
            .contains("no durable-streams store here")
    );
}
