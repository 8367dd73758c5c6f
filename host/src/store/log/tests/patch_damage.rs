//! Damaged patches, and forged ones.

use super::super::bases::Patch;
use super::super::batch::{Body, Layout, Position, Record};
use super::super::format::{
    BATCH_HEADER, PatchHead, Range, SEGMENT_HEADER, StoreId, record_length,
};
use super::super::patch::diff;
use super::super::{ReadError, check};
use super::patches::{a_after, log_with_a_patch};
use super::*;

fn check_damages(files: &FaultyFiles) -> Vec<(u64, Option<Box<str>>)> {
    let report = check(Path::new(DIR), Arc::new(files.clone())).expect("reads");
    let damages = report.damages.into_iter();
    damages.map(|damage| (damage.offset, damage.key)).collect()
}

#[test]
fn no_flipped_bit_of_a_patch_or_its_base_goes_unseen() {
    let files = FaultyFiles::default();
    let log = log_with_a_patch(&files);
    let store = files.kill();
    let end = log.stats().disk_bytes as usize;
    let held = value(&log, "a").expect("is there");
    commit(&log, set("b", b"proof of what comes before", 4)).expect("commits");
    let mut whole = files.contents(&segment(1));
    whole.truncate(log.stats().disk_bytes as usize);
    drop(log);
    // Test all bits of the patch, and some of the base.
    let few = (SEGMENT_HEADER * 8..end * 8 - 3000).step_by(61);
    for bit in few.chain(end * 8 - 3000..end * 8) {
        let files = store.kill();
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        files.put(&segment(1), flipped);
        match try_open(&files, Options::default()) {
            Err(OpenError::Damaged { .. }) => {}
            Err(error) => panic!("{bit}: {error}"),
            Ok((log, recovered)) => {
                // The damage may be in an older value, which the current one is not based on.
                match recovered.damaged.is_empty() {
                    true => assert_eq!(value(&log, "a"), Some(held.clone()), "{bit}"),
                    false => assert!(log.get("a", Wait::ForDisk).is_err(), "{bit}"),
                }
                assert!(value(&log, "b").is_some());
            }
        }
        assert_ne!(check_damages(&files), [], "{bit}");
    }
}

/// The values of a sealed segment are not read when the log is opened.
#[test]
fn in_a_sealed_segment_a_flipped_bit_is_found_when_it_is_read_or_checked() {
    let files = FaultyFiles::default();
    let (log, _) = try_open(&files, small_segments()).expect("opens");
    let base = SEGMENT_HEADER + BATCH_HEADER + record_length(1, 1128) as usize;
    for number in 1..=3 {
        commit(&log, set("a", &a_after(number), number)).expect("commits");
    }
    let end = log.stats().disk_bytes as usize;
    assert_eq!(patches(&log), 1);
    commit(&log, set("b", &[1; 3000], 4)).expect("commits");
    assert_eq!(log.stats().segments, 2);
    drop(log);
    let whole = files.contents(&segment(1));
    let (mut refusals, mut errors) = (0, 0);
    let store = files.kill();
    for at in base..end {
        let files = store.kill();
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        files.put(&segment(1), flipped);
        assert_ne!(check_damages(&files), [], "{at}");
        let Ok((log, _)) = try_open(&files, small_segments()) else {
            refusals += 1;
            continue;
        };
        let failed = log.get("a", Wait::ForDisk);
        assert!(matches!(failed, Err(ReadError::Damaged { .. })), "{at}");
        while let Ok(true) = log.compact() {}
        assert_eq!(log.lookup("a"), Some(ChangeNumber::new(3)));
        assert_eq!(value(&log, "b").map(|value| value.len()), Some(3000));
        errors += 1;
    }
    // Reads find damage in the base and in the runs of the patch. The other bytes are headers.
    assert!(errors > 1100 && refusals > 60, "{errors} {refusals}");
    let damages = {
        let mut flipped = whole;
        flipped[base + 500] ^= 4;
        files.put(&segment(1), flipped);
        check_damages(&files)
    };
    let keys: Vec<_> = damages.iter().map(|(_, key)| key.as_deref()).collect();
    assert_eq!(keys, [Some("a"), Some("a")], "the base and its patch");
}

/// Writer of arbitrary batches with valid checksums of this store.
struct Forger {
    files: FaultyFiles,
    id: StoreId,
    sequence: u64,
}

impl Forger {
    fn new() -> Self {
        let files = FaultyFiles::default();
        drop(open(&files));
        let text = String::from_utf8(files.contents(Path::new(FORMAT))).expect("is text");
        let id = text.lines().nth(1).and_then(StoreId::from_hex);
        Self {
            files,
            id: id.expect("an id"),
            sequence: 0,
        }
    }

    /// Appends a record and returns its offset.
    fn put(&mut self, key: &str, body: Body) -> u32 {
        self.sequence += 1;
        let mut bytes = self.files.contents(&segment(1));
        let position = Position {
            segment: 1,
            offset: bytes.len() as u32,
            proof: true,
        };
        let record = Record {
            key,
            sequence: ChangeNumber::new(self.sequence),
            replaces: true,
            body,
        };
        let layout = Layout::new(&[record], position, self.id);
        for slice in layout.slices() {
            bytes.extend_from_slice(&slice);
        }
        self.files.put(&segment(1), bytes);
        position.offset + BATCH_HEADER as u32
    }

    fn value(&mut self, key: &str, value: &[u8]) -> u32 {
        self.put(key, Body::Value(Bytes::copy_from_slice(value)))
    }

    fn patch(&mut self, key: &str, base: u32, runs: (&[u8], &[u8]), checksum: u32) -> u32 {
        let (older, newer) = runs;
        let head = PatchHead {
            base,
            length: newer.len() as u32,
            checksum,
        };
        let runs = diff(older, newer, usize::MAX).expect("without a limit");
        let runs = runs.into();
        self.put(key, Body::Patch(Patch { head, runs }))
    }
}

#[test]
fn a_patch_whose_base_is_not_its_own_is_damage_and_never_guessed() {
    let (old, new) = (a_after(1), a_after(2));
    let mut other = old.clone();
    other[500] ^= 1;
    let of_other = appended(&other, 2, 20);
    let opens = |forger: &Forger| try_open(&forger.files, Options::default()).is_ok();
    for forgery in 0..7 {
        let mut forger = Forger::new();
        let sum = forger.id.checksum(&new);
        let runs = (&*old, &*new);
        let theirs = forger.value("b", &old);
        let base = forger.value("a", &old);
        assert!(opens(&forger));
        match forgery {
            // The valid patch.
            0 => drop(forger.patch("a", base, runs, sum)),
            1 => drop(forger.patch("a", theirs, runs, sum)),
            2 => drop(forger.patch("a", base + 1, runs, sum)),
            3 => drop(forger.patch("a", u32::MAX, runs, sum)),
            4 => {
                let patch = forger.patch("a", base, runs, sum);
                forger.patch("a", patch, (&new, &new), sum);
            }
            // The patch was made of another value than the base holds.
            5 => {
                let sum = forger.id.checksum(&of_other);
                forger.patch("a", base, (&other, &of_other), sum);
            }
            6 => drop(forger.patch("a", base, runs, sum ^ 1)),
            _ => unreachable!("there are no more"),
        }
        let damages = check_damages(&forger.files);
        if forgery == 0 {
            assert_eq!(damages, []);
            let log = open(&forger.files);
            assert_eq!(value(&log, "a").as_deref(), Some(&*new));
            continue;
        }
        let keys: Vec<_> = damages.iter().map(|(_, key)| key.as_deref()).collect();
        assert_eq!(keys, [Some("a")], "{forgery}");
        match try_open(&forger.files, Options::default()) {
            Err(OpenError::Damaged { .. }) => assert!(forgery < 5),
            Ok((log, _)) => {
                assert!(forgery >= 5);
                let read = log.get("a", Wait::ForDisk);
                assert!(matches!(read, Err(ReadError::Damaged { .. })));
                assert_eq!(value(&log, "b").as_deref(), Some(&*old));
            }
            Err(other) => panic!("{other}"),
        }
    }
    // A replaced or deleted value is not a base.
    for deleted in [false, true] {
        let mut forger = Forger::new();
        let sum = forger.id.checksum(&new);
        let base = forger.value("a", &old);
        if deleted {
            let range = Range {
                first: 1,
                origin: 1,
            };
            forger.put("a", Body::Tombstone(range));
        } else {
            forger.value("a", &other);
        }
        forger.patch("a", base, (&old, &new), sum);
        assert!(!opens(&forger));
    }
}
