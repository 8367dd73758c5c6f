use super::super::api::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use super::*;

#[test]
fn committed_values_are_read_also_after_opening_again() -> Result<(), CommitError> {
    let files = FaultyFiles::default();
    let log = open(&files);
    let large = vec![7; 1 << 20];
    log.commit(&[set("a", b"1", 1), set("b", &large, 2), set("c", b"", 3)])?;
    log.commit(&[set("a", b"2", 4), delete("c", 5)])?;
    let check = |log: &Log| {
        assert_eq!(
            read(log, "a"),
            Some((Bytes::from_static(b"2"), ChangeNumber::new(4)))
        );
        assert_eq!(value(log, "b").as_deref(), Some(&*large));
        assert_eq!(value(log, "c"), None);
        assert_eq!(log.lookup("c"), None);
        assert_eq!(log.highest_sequence(), ChangeNumber::new(5));
        assert_eq!(log.stats().keys, 2);
    };
    check(&log);
    drop(log);
    check(&open(&files));
    check(&open(&files.crash(0)));
    Ok(())
}

#[test]
fn of_several_changes_of_a_key_in_a_batch_the_last_one_holds() -> Result<(), CommitError> {
    let files = FaultyFiles::default();
    let log = open(&files);
    log.commit(&[
        set("a", b"1", 1),
        delete("b", 2),
        set("a", b"2", 3),
        set("b", b"3", 4),
        delete("a", 5),
    ])?;
    assert_eq!(value(&log, "a"), None);
    assert_eq!(value(&log, "b").as_deref(), Some(&b"3"[..]));
    let report = log.verify().expect("reads");
    assert_eq!((report.records, report.damages), (2, Vec::new()));
    Ok(())
}

#[test]
fn a_value_that_is_not_in_memory_is_reported_as_such() -> Result<(), CommitError> {
    let files = FaultyFiles::default();
    let log = open(&files);
    commit(&log, set("a", b"1", 1))?;
    files.evict();
    assert_eq!(log.get("a", Wait::Never).ok(), Some(Found::NotResident));
    assert_eq!(log.get("b", Wait::Never).ok(), Some(Found::Absent));
    assert_eq!(value(&log, "a").as_deref(), Some(&b"1"[..]));
    Ok(())
}

#[test]
fn a_batch_with_an_oversized_part_is_refused_and_not_applied() {
    let log = open(&FaultyFiles::default());
    let key = "k".repeat(MAX_KEY_BYTES + 1);
    let refused = log.commit(&[set("a", b"1", 1), set(&key, b"", 2)]);
    assert!(matches!(refused, Err(CommitError::TooLarge)));
    let refused = commit(&log, set("a", &vec![0; MAX_VALUE_BYTES + 1], 1));
    assert!(matches!(refused, Err(CommitError::TooLarge)));
    assert_eq!(value(&log, "a"), None);
    assert!(commit(&log, set(&key[1..], &vec![0; MAX_VALUE_BYTES], 1)).is_ok());
}

#[test]
fn a_second_opening_is_refused_while_the_first_is_there() {
    let files = FaultyFiles::default();
    let log = open(&files);
    let refused = try_open(&files, Options::default()).err().expect("refused");
    assert_eq!(
        refused.to_string(),
        "/store: another process has this store open; stop it first"
    );
    drop(log);
    open(&files);
}

#[test]
fn a_directory_with_something_else_is_refused_and_left_alone() {
    let files = FaultyFiles::default();
    files.put(Path::new("/store/letter.txt"), b"dear".to_vec());
    let refused = try_open(&files, Options::default()).err().expect("refused");
    assert_eq!(
        refused.to_string(),
        "/store: not empty and not a durable-streams store; name an empty or a new directory"
    );
    assert_eq!(files.changes(), 0);
    for text in [
        "",
        "durable-streams log x\n",
        "durable-streams log 0\n000102030405060708090a0b0c0d0e0f\n",
        "durable-streams log 2\n1234\n",
        "other\n",
    ] {
        let files = FaultyFiles::default();
        files.put(Path::new("/store/FORMAT"), text.as_bytes().to_vec());
        let refused = try_open(&files, Options::default()).err();
        assert!(matches!(refused, Some(OpenError::Foreign(_))), "{text:?}");
    }
}

#[test]
fn a_directory_of_a_newer_version_is_refused() {
    let files = FaultyFiles::default();
    files.put(
        Path::new("/store/FORMAT"),
        b"durable-streams log 4\nwhat?\n".to_vec(),
    );
    let refused = try_open(&files, Options::default()).err().expect("refused");
    assert_eq!(
        refused.to_string(),
        "/store: written by a newer version (format 4, this one reads 3); use that version"
    );
}

#[test]
fn a_store_whose_creation_was_interrupted_is_created_again() {
    for operations in 0..20 {
        let files = FaultyFiles::default();
        files.crash_after(operations);
        let done = try_open(&files, Options::default()).is_ok();
        for seed in 0..20 {
            let log = open(&files.crash(seed));
            assert!(commit(&log, set("a", b"1", 1)).is_ok());
        }
        if done {
            return;
        }
    }
    panic!("opening takes more operations than this test foresees");
}
