use super::super::format::SEGMENT_HEADER;
use super::super::{Durability, ReadError, check};
use super::*;

/// Three different batches in one segment, and the end of each.
fn three_batches(options: Options) -> (FaultyFiles, Vec<usize>) {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, options).expect("opens");
    let mut ends = Vec::new();
    let batches: [&[Change]; 3] = [
        &[set("a", b"1", 1), set("b", &[1; 700], 2)],
        &[set("a", b"2", 3), delete("b", 4)],
        &[set("a", &[3; 600], 5), set("c", b"3", 6), set("d", b"", 7)],
    ];
    for batch in batches {
        log.commit(batch).expect("commits");
        ends.push(log.stats().disk_bytes as usize);
    }
    (files, ends)
}

fn a_values(log: &Log) -> Vec<u8> {
    value(log, "a").expect("there").to_vec()
}

#[test]
fn a_batch_torn_at_any_byte_is_cut_off_and_those_before_it_kept() {
    let (files, ends) = three_batches(Options::default());
    let whole = files.contents(&segment(1));
    for (torn_at, filled) in (ends[1]..ends[2]).flat_map(|at| [(at, false), (at, true)]) {
        let mut torn = whole.clone();
        if filled {
            // The bytes after the tear were zeros before the write.
            torn[torn_at..].fill(0);
            // Skip a tear that leaves the batch unchanged.
            if torn[..ends[2]] == whole[..ends[2]] {
                continue;
            }
        } else {
            torn.truncate(torn_at);
        }
        files.put(&segment(1), torn);
        let (log, recovered) = try_open(&files, Options::default()).expect("opens");
        assert_eq!(a_values(&log), b"2", "torn at {torn_at}");
        assert_eq!(value(&log, "c"), None);
        let clean = torn_at == ends[1];
        assert_eq!(
            recovered.cuts.len(),
            usize::from(!clean),
            "torn at {torn_at}"
        );
        commit(&log, set("c", b"4", 8)).expect("goes on");
        drop(log);
        let log = open(&files);
        assert_eq!(value(&log, "c").as_deref(), Some(&b"4"[..]));
        assert_eq!(log.highest_sequence(), ChangeNumber::new(8));
    }
}

#[test]
fn no_flipped_byte_before_the_last_batch_goes_unseen() {
    let (files, ends) = three_batches(Options::default());
    let whole = files.contents(&segment(1));
    let (mut refusals, mut contained) = (0, 0);
    for at in 0..ends[1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        files.put(&segment(1), flipped.clone());
        match try_open(&files, Options::default()) {
            Err(OpenError::Damaged { .. }) => refusals += 1,
            Err(error) => panic!("flipped {at}: {error}"),
            // A newer record supersedes the damaged one.
            Ok((log, recovered)) => {
                assert_eq!(contents(&log).len(), 3, "flipped {at}");
                assert!(recovered.damaged.is_empty());
                contained += 1;
            }
        }
        assert_eq!(files.contents(&segment(1)), flipped, "nothing was changed");
        let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
        let damage = report.damages.first().expect("damage");
        assert!(
            !damage.unfinished && damage.offset as usize <= at,
            "flipped {at}"
        );
    }
    // 702 bytes belong to values. The rest are headers, keys and a tombstone.
    assert_eq!((refusals, contained), (ends[1] - 702, 702));
}

/// Before the fix, any flipped bit in the newest segment made the store refuse to open.
#[test]
fn a_damaged_value_makes_only_its_own_key_unreadable() {
    let files = FaultyFiles::default();
    let log = open(&files);
    let mut ends = Vec::new();
    for number in 1..=20 {
        ends.push(log.stats().disk_bytes as usize);
        let key = format!("k{number:02}");
        commit(&log, set(&key, &[number as u8; 600], number)).expect("commits");
    }
    let before = contents(&log);
    drop(log);
    for (number, begin) in (1..20).zip(&ends) {
        let files = files.kill();
        let mut flipped = files.contents(&segment(1));
        flipped[begin + 32 + 24 + 3 + number] ^= 1;
        files.put(&segment(1), flipped);
        let (log, recovered) = try_open(&files, Options::default()).expect("opens");
        let key = format!("k{number:02}");
        assert_eq!(recovered.damaged, [Box::<str>::from(&*key)]);
        let failed = log.get(&key, Wait::ForDisk);
        assert!(matches!(failed, Err(ReadError::Damaged { .. })));
        for (other, (expected, _)) in before.iter().filter(|(other, _)| **other != key) {
            assert_eq!(value(&log, other).as_ref(), Some(expected));
        }
        commit(&log, set(&key, b"new", 100)).expect("it may be replaced");
        assert_eq!(value(&log, &key).as_deref(), Some(&b"new"[..]));
    }
}

#[test]
fn damage_is_reported_in_one_line_with_its_place() {
    let (files, _) = three_batches(Options::default());
    let mut flipped = files.contents(&segment(1));
    flipped[SEGMENT_HEADER] ^= 1;
    files.put(&segment(1), flipped);
    let refused = try_open(&files, Options::default()).err().expect("refused");
    assert_eq!(
        refused.to_string(),
        "/store/0000000001.log: damaged at byte 44; nothing was changed; \
         run `durable-streams check /store` to see what is affected"
    );
    let report = check(Path::new(DIR), Arc::new(files)).expect("reads");
    assert_eq!((report.segments, report.records), (1, 5));
}

#[test]
fn a_check_distinguishes_the_remains_of_a_crash_from_damage() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    for sequence in 1..6 {
        commit(&log, set("a", &[1; 1500], sequence)).expect("commits");
    }
    let newest = log.stats().segments as u32;
    drop(log);
    let check = || check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
    assert_eq!((check().records, check().damages), (5, Vec::new()));
    for (number, unfinished) in [(newest, true), (1, false)] {
        let whole = files.contents(&segment(number));
        let mut torn = whole.clone();
        let last = torn.iter().rposition(|byte| *byte != 0).expect("not empty");
        torn[last] = 0;
        files.put(&segment(number), torn);
        let found: Vec<_> = check().damages.iter().map(|one| one.unfinished).collect();
        assert_eq!(found, [unfinished]);
        files.put(&segment(number), whole);
    }
}

#[test]
fn without_the_proof_of_a_sync_an_invalid_batch_ends_the_log() {
    let options = Options {
        durability: Durability::Os,
        ..Options::default()
    };
    let (files, ends) = three_batches(options);
    let mut torn = files.contents(&segment(1));
    torn[ends[0] + 3] ^= 1;
    files.put(&segment(1), torn);
    let (log, recovered) = try_open(&files, options).expect("opens");
    assert_eq!(a_values(&log), b"1");
    let cut: Vec<_> = recovered
        .cuts
        .iter()
        .map(|cut| cut.offset as usize)
        .collect();
    assert_eq!(cut, [ends[0]]);
    // The third batch is cut off too. It would reappear once a batch of the same length replaced
    // the second.
    drop(log);
    assert_eq!(files.contents(&segment(1)).len(), ends[0]);
}

#[test]
fn a_damaged_segment_that_is_not_the_newest_is_refused() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    for sequence in 1..10 {
        commit(&log, set(&format!("k{sequence}"), &[1; 1500], sequence)).expect("commits");
    }
    let second = files.contents(&segment(2));
    drop(log);
    // Offsets in the header, the first batch, its record, and the second batch.
    let starts = [
        0,
        SEGMENT_HEADER,
        SEGMENT_HEADER + 40,
        SEGMENT_HEADER + 1561,
    ];
    for at in starts {
        let mut flipped = second.clone();
        flipped[at] ^= 1;
        files.put(&segment(2), flipped);
        let refused = try_open(&files, small_segments()).err();
        let refused = refused.unwrap_or_else(|| panic!("flipped {at}"));
        assert!(refused.to_string().contains("/store/0000000002.log"));
    }
    // The file is cut off within a batch.
    let mut short = second;
    short.truncate(1000);
    files.put(&segment(2), short);
    assert!(try_open(&files, small_segments()).is_err());
}

#[test]
fn a_damaged_value_is_not_served_and_not_moved() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    for sequence in 0..100 {
        let key = if sequence % 4 == 0 {
            format!("kept{sequence}")
        } else {
            "a".into()
        };
        commit(&log, set(&key, &[1; 900], sequence + 1)).expect("commits");
    }
    drop(log);
    let mut first = files.contents(&segment(1));
    first[200] ^= 1;
    files.put(&segment(1), first);
    let (log, _) = try_open(&files, small_segments()).expect("values are not read in opening");
    let failed = log.get("kept0", Wait::ForDisk);
    assert!(matches!(failed, Err(ReadError::Damaged { .. })));
    let mut errors = 0;
    for _ in 0..100 {
        errors += u32::from(log.compact().is_err());
    }
    assert_eq!(errors, 1, "its segment is left alone");
    assert_eq!(a_values(&log), [1; 900]);
    let report = log.verify().expect("reads");
    let keys: Vec<_> = report
        .damages
        .iter()
        .map(|damage| damage.key.as_deref())
        .collect();
    assert_eq!(keys, [Some("kept0")]);
}

#[test]
fn a_value_that_looks_like_the_log_is_not_taken_for_it() {
    let (files, ends) = three_batches(Options::default());
    // A client knows at most the bytes of another store.
    let forged = files.contents(&segment(1))[..ends[2]].to_vec();
    let files = FaultyFiles::default();
    let log = open(&files);
    commit(&log, set("a", &forged, 1)).expect("commits");
    commit(&log, set("b", &forged, 2)).expect("commits");
    let end = log.stats().disk_bytes as usize;
    drop(log);
    let mut torn = files.contents(&segment(1));
    // The header of the second batch is torn, but the forged bytes in the batch are whole.
    torn.truncate(end);
    let second = (end - SEGMENT_HEADER) / 2 + SEGMENT_HEADER;
    torn[second] ^= 1;
    files.put(&segment(1), torn);
    let log = open(&files);
    assert_eq!(value(&log, "a").as_deref(), Some(&*forged));
    assert_eq!(value(&log, "b"), None);
}

#[test]
fn checking_a_directory_without_a_store_says_so_and_creates_none() {
    let files = FaultyFiles::default();
    files.put(Path::new("/other/file"), Vec::new());
    for dir in ["/store", "/other"] {
        assert!(check(Path::new(dir), Arc::new(files.clone())).is_err());
    }
    assert_eq!(files.changes(), 0);
}
