use super::super::format::RECORD_HEADER;
use super::*;

fn place(sequence: u64, segment: SegmentNumber) -> Location {
    Location {
        sequence: ChangeNumber::new(sequence),
        segment,
        offset: 44,
        value_length: 5,
        first: segment,
        patch: None,
    }
}

fn patch(sequence: u64, segment: SegmentNumber, base: u32) -> Location {
    Location {
        offset: 400 + sequence as u32,
        patch: Some(PatchPlace {
            length: 3,
            base,
            base_length: 5,
        }),
        ..place(sequence, segment)
    }
}

#[test]
fn the_highest_sequence_of_a_key_wins_and_the_first_segment_is_kept() {
    let index = Index::new();
    assert_eq!(index.put("k", place(5, 3)), None);
    let superseded = index.put("k", place(7, 4));
    assert_eq!(superseded.map(|place| place.segment), Some(3));
    let stale = index.put("k", place(6, 2));
    assert_eq!(stale.map(|place| place.segment), Some(2));
    let known = index.get("k").expect("there");
    assert_eq!((known.segment, known.first), (4, 2));
    assert_eq!(index.remove("k", ChangeNumber::new(6)), None);
    assert_eq!(index.remove("k", ChangeNumber::new(8)), Some(known));
    assert_eq!(index.len(), 0);
}

#[test]
fn of_two_copies_of_a_record_the_later_one_is_known() {
    let index = Index::new();
    index.put("k", place(5, 3));
    let older = index.put("k", place(5, 9));
    assert_eq!(older.map(|place| place.segment), Some(3));
}

#[test]
fn an_entry_is_36_bytes_and_its_key_and_takes_any_place() {
    let whole = Location {
        sequence: ChangeNumber::new(u64::MAX - 1),
        segment: u32::MAX - 2,
        offset: u32::MAX - 3,
        value_length: super::super::api::MAX_VALUE_BYTES as u32,
        first: u32::MAX - 5,
        patch: None,
    };
    let patch = Location {
        patch: Some(PatchPlace {
            length: u32::MAX - 6,
            base: u32::MAX - 7,
            base_length: u32::MAX - 8,
        }),
        ..whole
    };
    for key in ["", "key", "a longer key"] {
        let mut entry = Entry::new(key, whole);
        for place in [whole, patch, whole] {
            entry.set(place);
            assert_eq!((entry.key(), entry.place()), (key, place));
            assert!(entry.is_of(key) && !entry.is_of("other"));
            assert_eq!(entry.0.len(), 36 + key.len());
        }
    }
}

#[test]
fn a_base_is_needed_as_long_as_a_patch_of_it_is() {
    let whole = RECORD_HEADER as u64 + 1 + 5;
    let patched = RECORD_HEADER as u64 + 1 + 3;
    for (older, newer, freed) in [
        (place(1, 3), Some(patch(2, 3, 44)), 0),
        (patch(2, 3, 44), Some(patch(3, 3, 44)), patched),
        (patch(2, 3, 44), Some(patch(3, 3, 45)), patched + whole),
        (patch(2, 3, 44), Some(patch(3, 4, 44)), patched + whole),
        (patch(2, 3, 44), Some(place(3, 3)), patched + whole),
        (patch(2, 3, 44), None, patched + whole),
        (place(1, 3), Some(place(2, 3)), whole),
        (place(1, 3), None, whole),
    ] {
        assert_eq!(older.freed_by(newer, "k"), freed, "{older:?} {newer:?}");
    }
    assert_eq!(place(1, 3).base_length(3, 44), Some(5));
    assert_eq!(patch(1, 3, 44).base_length(3, 44), Some(5));
    assert_eq!(patch(1, 3, 44).base_length(3, 401), None);
    assert_eq!(patch(1, 3, 44).base_length(4, 44), None);
}
