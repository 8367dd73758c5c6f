use super::{Counts, Report, check};
use crate::backup::{BackupSource, backup};
use crate::store::ChangeNumber;
use crate::store::log::{Change, Log, Options, SystemFiles};
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{Keys, NameHash, debt, debt::Debt, index};
use durable_streams_edge::stream::{
    Asked, Birth, Block, ContentType, Expiry, Forks, Head, Incarnation, Link, Owed, Position, Ring,
    Segment, Timelines, Tombstone, branch,
};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

const LIFE: Incarnation = Incarnation([7; 16]);

fn segment(id: u64) -> Segment {
    Segment {
        id,
        length: 3,
        ends_message: true,
    }
}

/// A stream with 64 segments in an index block and two more in its head.
fn head() -> Head {
    Head {
        name: "a".to_owned(),
        incarnation: LIFE,
        version: 3,
        born: 1,
        ring: Ring::of(vec![(41, 2), (42, 3)]),
        content_type: ContentType::octets(),
        created_ms: 1_000,
        expiry: Expiry::Never,
        touched_ms: 2_000,
        closed: None,
        seq: None,
        producers: Vec::new(),
        bytes: 66 * 3,
        leaf: None,
        first: 0,
        recent_first: 64,
        recent: vec![segment(64), segment(65)],
        inline: Vec::new(),
        forks: Forks::default(),
        lineage: None,
        subscribers: Vec::new(),
        timelines: Timelines::default(),
        lease: None,
    }
}

/// A store on disk.
struct OnDisk {
    directory: tempfile::TempDir,
    sequence: u64,
}

impl OnDisk {
    fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            sequence: 0,
        }
    }

    /// A store with the stream of [`head`], and a tombstone that owes chunk 1 of another life.
    fn with_a_stream() -> Self {
        let mut store = Self::empty();
        let names = Keys::new("");
        let block = Block {
            number: 0,
            first: 0,
            segments: (0..64).map(segment).collect(),
            owners: Vec::new(),
        };
        let chunks = (0..66).map(|id| (names.chunk(LIFE, id), b"abc".to_vec()));
        let gone = Incarnation([8; 16]);
        let tombstone = Tombstone {
            name: "b".to_owned(),
            incarnation: gone,
            version: 9,
            next_segment: 1,
            timeline: 0,
            owes: Some(Owed {
                chunks: vec![1],
                ..Owed::default()
            }),
            source: None,
        };
        let paid_later = Debt {
            owed: Owed {
                chunks: vec![2],
                ..Owed::default()
            },
            in_block: false,
        };
        let slot = |name: &str| names.head(&NameHash::of(name)).key(0);
        let mut entries: Vec<(String, Vec<u8>)> = chunks.collect();
        entries.extend([
            (names.block(LIFE, 0), index::encode(&block)),
            (slot("a"), Record::Live(Box::new(head())).seal()),
            (slot("b"), Record::Tombstone(tombstone).seal()),
            (names.chunk(gone, 1), b"abc".to_vec()),
            (names.chunk(gone, 2), b"abc".to_vec()),
            (names.debt(gone), debt::encode(&paid_later)),
        ]);
        for (key, value) in entries {
            store.write(&key, Some(value));
        }
        store
    }

    fn write(&mut self, key: &str, value: Option<Vec<u8>>) {
        let path = self.directory.path();
        let (log, _) =
            Log::open(path, Arc::new(SystemFiles), Options::default()).expect("it opens");
        self.sequence += 1;
        let change = Change {
            key: key.into(),
            value: value.map(Into::into),
            sequence: ChangeNumber::new(self.sequence),
        };
        log.commit(&[change]).expect("it writes");
    }

    fn check(&self, fix: bool) -> Report {
        check(self.directory.path(), fix, false).expect("it can be checked")
    }
}

#[test]
fn a_whole_store_is_counted() {
    let report = OnDisk::with_a_stream().check(false);
    assert!(report.is_whole(), "{report}");
    let expected = Counts {
        streams: 1,
        bytes: 66 * 3,
        tombstones: 1,
        chunks: 68,
        blocks: 1,
        debts: 1,
        ..Counts::default()
    };
    assert_eq!(report.counts, expected, "{report}");
}

/// Backs a store up and returns the directory of the backup.
fn backed_up(store: &OnDisk) -> tempfile::TempDir {
    let dest = tempfile::tempdir().expect("a directory");
    let from = BackupSource::Directory(store.directory.path().to_owned());
    backup(&from, dest.path(), &mut |_| ()).expect("backs up");
    dest
}

#[test]
fn a_backup_is_checked_like_its_store_and_stays_unchanged() {
    let store = OnDisk::with_a_stream();
    let dest = backed_up(&store);
    let files = || -> Vec<(PathBuf, Vec<u8>)> {
        let entries = std::fs::read_dir(dest.path()).expect("lists");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = paths
            .map(|path| (path.clone(), std::fs::read(path).expect("reads")))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let report = check(dest.path(), false, false).expect("checks");
    assert!(report.is_whole(), "{report}");
    assert_eq!(report.counts, store.check(false).counts);
    assert!(report.to_string().contains("backup: taken "), "{report}");
    for (fix, new_timeline) in [(true, false), (false, true)] {
        let refused = check(dest.path(), fix, new_timeline);
        let refused = refused.err().map(|error| error.to_string());
        assert!(refused.is_some_and(|text| text.contains("restore it first")));
    }
    assert_eq!(files(), before);
}

#[test]
fn every_flipped_byte_of_a_backup_is_a_problem_in_its_report() {
    let dest = backed_up(&OnDisk::with_a_stream());
    let path = dest.path().join("0000000001-0.log");
    let bytes = std::fs::read(&path).expect("reads");
    for at in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        std::fs::write(&path, flipped).expect("writes");
        let report = check(dest.path(), false, false).expect("checks");
        let text = report.to_string();
        assert!(!report.is_whole(), "byte {at}: {text}");
        assert!(text.contains("0000000001-0.log: other bytes"), "{text}");
    }
    std::fs::remove_file(&path).expect("is there");
    let report = check(dest.path(), false, false).expect("checks");
    assert!(report.to_string().contains("missing"), "{report}");
    let list = dest.path().join("BACKUP");
    std::fs::remove_file(&list).expect("is there");
    std::fs::write(&path, bytes).expect("writes");
    let refused = check(dest.path(), false, false).err();
    let refused = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("not finished"), "{refused}");
}

#[test]
fn only_unreachable_values_are_found_and_removed() {
    let mut store = OnDisk::with_a_stream();
    let names = Keys::new("");
    store.write(&names.chunk(LIFE, 999), Some(b"never named".to_vec()));
    store.write(&names.block(LIFE, 7), Some(b"never used".to_vec()));
    let found = store.check(false);
    assert!(found.is_whole() && !found.removed, "{found}");
    assert_eq!(
        (found.counts.left_over, found.counts.left_over_bytes),
        (2, 11)
    );
    assert_eq!(
        store.check(true).counts,
        found.counts,
        "found again, and removed"
    );
    let after = store.check(false);
    assert!(after.is_whole(), "{after}");
    assert_eq!((after.counts.left_over, after.counts.chunks), (0, 68));
}

#[test]
fn a_block_that_was_written_before_its_swap_is_not_left_over() {
    let mut store = OnDisk::with_a_stream();
    let mut head = head();
    head.recent = (64..128).map(segment).collect();
    let names = Keys::new("");
    for id in 66..128 {
        store.write(&names.chunk(LIFE, id), Some(b"abc".to_vec()));
    }
    let key = names.head(&NameHash::of("a")).key(0);
    store.write(&key, Some(Record::Live(Box::new(head)).seal()));
    store.write(
        &names.block(LIFE, 1),
        Some(b"the next append writes it".to_vec()),
    );
    let report = store.check(false);
    assert_eq!(report.counts.left_over, 0, "{report}");
}

#[test]
fn missing_values_are_reported_and_then_nothing_is_removed() {
    let names = Keys::new("");
    let cases = [
        (names.chunk(LIFE, 5), "a chunk of index block 0"),
        (names.chunk(LIFE, 65), "a recent chunk"),
        (names.block(LIFE, 0), "index block 0"),
    ];
    for (key, problem) in cases {
        let mut store = OnDisk::with_a_stream();
        store.write(&key, None);
        store.write(&names.chunk(LIFE, 999), Some(b"x".to_vec()));
        let report = store.check(true);
        assert!(!report.is_whole() && !report.removed, "{report}");
        assert!(report.to_string().contains(problem), "{report}");
    }
}

#[test]
fn a_chunk_of_another_length_is_missing() {
    let mut store = OnDisk::with_a_stream();
    store.write(&Keys::new("").chunk(LIFE, 5), Some(b"ab".to_vec()));
    assert!(!store.check(false).is_whole());
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let store = OnDisk::with_a_stream();
    let files = std::fs::read_dir(store.directory.path()).expect("it is there");
    let log = files
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|kind| kind == "log"))
        .expect("a segment");
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(log)
        .expect("it opens");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("it reads");
    let place = bytes.windows(3).position(|window| window == b"abc");
    let place = place.expect("a chunk") as u64;
    file.seek(SeekFrom::Start(place)).expect("it seeks");
    file.write_all(b"X").expect("it writes");
    drop(file);
    let report = store.check(true);
    assert!(!report.is_whole() && !report.removed, "{report}");
    assert!(report.to_string().contains("damaged at byte"), "{report}");
}

/// A store with a fork of the stream, cut within its second segment. The source counts `counted`
/// forks.
fn with_a_fork(counted: u64) -> OnDisk {
    let mut store = OnDisk::with_a_stream();
    let names = Keys::new("");
    let block = Block {
        number: 0,
        first: 0,
        segments: (0..64).map(segment).collect(),
        owners: Vec::new(),
    };
    let source = Link {
        hash: *NameHash::of("a").bytes(),
        incarnation: LIFE,
    };
    let birth = Birth {
        incarnation: Incarnation([9; 16]),
        leaf: None,
        now_ms: 5,
        timeline: 0,
    };
    let (place, asked) = (
        Position::new(1, 2),
        Asked {
            offset: None,
            sub: 0,
        },
    );
    let block = Some((&block, LIFE));
    let fork = branch("f", birth, &head(), source, asked, place, block);
    let mut fork = fork.expect("a fork");
    if let Some(lineage) = &mut fork.lineage {
        lineage.pending = false;
    }
    let mut source = head();
    source.forks.count = counted;
    for head in [source, fork] {
        let key = names.head(&NameHash::of(&head.name)).key(0);
        store.write(&key, Some(Record::Live(Box::new(head)).seal()));
    }
    store
}

#[test]
fn a_fork_shares_chunks_and_is_counted_by_its_source() {
    let report = with_a_fork(1).check(false);
    assert!(report.is_whole(), "{report}");
    let Counts {
        forks, left_over, ..
    } = report.counts;
    assert_eq!((forks, left_over), (1, 0), "{report}");
}

#[test]
fn a_wrong_count_of_forks_and_a_missing_shared_chunk_are_reported() {
    for counted in [0, 2] {
        let report = with_a_fork(counted).check(true);
        assert!(!report.is_whole() && !report.removed, "{report}");
        let problem = format!("stream a: counts {counted} forks, but has 1");
        assert!(report.to_string().contains(&problem), "{report}");
    }
    let mut store = with_a_fork(1);
    store.write(&Keys::new("").chunk(LIFE, 1), None);
    let report = store.check(true).to_string();
    assert!(report.contains("stream f: a recent chunk"), "{report}");
}

#[test]
fn a_foreign_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("letter.txt"), "dear").expect("it writes");
    let refused = check(directory.path(), false, false)
        .err()
        .map(|error| error.to_string());
    let refused = refused.expect("it is no store");
    assert!(!refused.contains('\n'), "{refused}");
}

#[test]
fn a_new_timeline_is_begun_for_a_whole_store_alone() {
    let store = OnDisk::with_a_stream();
    let raise =
        |store: &OnDisk| check(store.directory.path(), false, true).expect("it can be checked");
    assert_eq!(store.check(false).timeline, 0);
    let first = raise(&store).timeline;
    assert!(first > 0);
    assert_eq!(store.check(false).timeline, first);
    let second = raise(&store);
    assert!(second.timeline > first, "{second}");
    assert!(
        second
            .to_string()
            .contains(&format!("timeline: {}", second.timeline)),
        "{second}"
    );
    let mut damaged = OnDisk::with_a_stream();
    damaged.write(&Keys::new("").chunk(LIFE, 1), None);
    let refused = raise(&damaged);
    assert_eq!(
        (refused.is_whole(), refused.timeline),
        (false, 0),
        "{refused}"
    );
}
