//! Cuts of the data into segments and blocks.

use super::*;

#[test]
fn a_block_holds_only_segments_that_the_batch_began_with() {
    for (first, sealed) in [(0, 64), (0, 63), (10, 54), (10, 53), (64, 70), (0, 130)] {
        let mut stream = head();
        (stream.first, stream.recent_first) = (first, first);
        stream.recent = (0..sealed)
            .map(|n| Segment {
                id: 1_000 + n,
                length: 1,
                ends_message: true,
            })
            .collect();
        let open = stream.open_segment();
        let mut batch = Batch::new(stream.clone(), 0);
        let large = Payload::Bytes(vec![0; MAX_CHUNK_BYTES * 70]);
        batch.append(&append(&stream, large), &LIMITS, 1).unwrap();
        let settled = batch.settle(CommitId::of(1), 0, ids());
        let groups = open / BLOCK_SEGMENTS - first / BLOCK_SEGMENTS;
        assert_eq!(settled.blocks.len() as u64, groups, "{first} {sealed}");
        for block in &settled.blocks {
            assert!(block.first + block.segments.len() as u64 <= open);
            assert_eq!(block.first / BLOCK_SEGMENTS, block.number);
            let end = block.first + block.segments.len() as u64;
            assert_eq!(end % BLOCK_SEGMENTS, 0);
            assert!(block.segments.iter().all(|segment| segment.id >= 1_000));
        }
        assert_eq!(settled.head.open_segment(), open + 70);
    }
}

/// Without such cuts, pages of a long text began and ended inside characters. Clients that decode
/// each page by itself turned these characters into U+FFFD.
#[test]
fn a_long_text_is_cut_between_characters_and_not_between_cr_and_lf() {
    for piece in ["\u{3042}", "\u{1f600}", "\u{e9}", "\r\n", "x"] {
        for before in ["", "-", "--", "---"] {
            let text = before.to_owned() + &piece.repeat(3 * MAX_CHUNK_BYTES / piece.len());
            let stream = head();
            let mut batch = Batch::new(stream.clone(), 0);
            batch
                .append(&append(&stream, bytes(&text)), &LIMITS, 1)
                .unwrap();
            let settled = batch.settle(CommitId::of(1), 0, ids());
            let parts: Vec<&str> = settled
                .chunks
                .iter()
                .map(|chunk| std::str::from_utf8(&chunk.bytes).unwrap())
                .collect();
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| part.len() <= MAX_CHUNK_BYTES));
            assert!(parts.iter().all(|part| !part.starts_with('\n')));
            assert!(parts.len() <= 4);
        }
    }
    // Bytes that are not text are cut too.
    let stream = head();
    let mut batch = Batch::new(stream.clone(), 0);
    let octets = Payload::Bytes(vec![0x80; MAX_CHUNK_BYTES * 2]);
    batch.append(&append(&stream, octets), &LIMITS, 1).unwrap();
    assert_eq!(batch.settle(CommitId::of(1), 0, ids()).chunks.len(), 2);
}

#[test]
fn a_message_larger_than_a_chunk_begins_a_segment_of_its_own() {
    let mut stream = json();
    stream.inline = b"1,".to_vec();
    let mut batch = Batch::new(stream.clone(), 0);
    let payload = messages(&[10, MAX_CHUNK_BYTES + 5, 3]);
    batch.append(&append(&stream, payload), &LIMITS, 1).unwrap();
    let settled = batch.settle(CommitId::of(1), 100, ids());
    let cuts: Vec<(u32, bool)> = settled
        .head
        .recent
        .iter()
        .map(|segment| (segment.length, segment.ends_message))
        .collect();
    let most = u32::try_from(MAX_CHUNK_BYTES).unwrap();
    assert_eq!(cuts, [(12, true), (most, false), (8, true)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Appends of any sizes, in batches of any sizes. All bytes are kept in order, and positions
    /// rise. Every cut is at the end of a message, unless a message is larger than a chunk.
    #[test]
    fn sealing_keeps_bytes_messages_and_positions(
        appends in proptest::collection::vec(
            (proptest::collection::vec(prop_oneof![
                8 => 2usize..2_000,
                1 => 100_000usize..MAX_CHUNK_BYTES + 10,
                1 => MAX_CHUNK_BYTES - 3..2 * MAX_CHUNK_BYTES + 10,
            ], 1..6), any::<bool>()),
            1..20,
        ),
        budget in prop_oneof![Just(0usize), 1usize..3_000, Just(16_384), Just(131_072)],
        is_json: bool,
        first in prop_oneof![Just(0u64), 1u64..200],
        raises in proptest::collection::vec(prop_oneof![3 => Just(0u64), 1 => 1u64..9], 20),
    ) {
        let mut timeline = 0;
        let mut stream = if is_json { json() } else { head() };
        (stream.first, stream.recent_first) = (first, first);
        let mut kept = Kept::default();
        let mut next = ids();
        let mut whole = Vec::new();
        let mut ends = vec![0];
        let mut before = stream.tail();
        let mut waiting: Vec<Append> = Vec::new();
        let count = appends.len();
        for (n, (sizes, commit)) in appends.into_iter().enumerate() {
            let Payload::Messages { bytes, ends: cuts } = messages(&sizes) else {
                unreachable!()
            };
            ends.extend(cuts.iter().map(|cut| cut + whole.len()));
            whole.extend_from_slice(&bytes);
            let payload = match is_json {
                true => Payload::Messages { bytes, ends: cuts },
                false => Payload::Bytes(bytes),
            };
            waiting.push(append(&stream, payload));
            if !commit && n + 1 < count {
                continue;
            }
            timeline += raises[n];
            let mut batch = Batch::new(stream, timeline);
            let tails: Vec<u64> = waiting
                .drain(..)
                .map(|append| batch.append(&append, &LIMITS, 1).unwrap().tail)
                .collect();
            let settled = batch.settle(CommitId::of(n as u64), budget, &mut next);
            for tail in tails {
                let position = settled.position(tail);
                prop_assert!(position > before, "{position:?} after {before:?}");
                before = position;
                prop_assert_eq!(position.timeline(), timeline);
            }
            prop_assert_eq!(before, settled.head.tail());
            prop_assert!(settled.head.inline.len() <= budget);
            kept.store(&settled);
            stream = settled.head;
        }
        prop_assert_eq!(stream.bytes, whole.len() as u64);
        let segments = kept.segments(&stream);
        let all: Vec<u8> = segments.iter().flat_map(|segment| segment.1.clone()).collect();
        prop_assert!(all == whole);
        let mut at = 0;
        let mut begins_message = true;
        for (_, bytes, ends_message) in segments {
            at += bytes.len();
            if is_json {
                prop_assert_eq!(ends_message, ends.contains(&at));
                // Only a message at the beginning of a segment is ever cut.
                if !ends_message && begins_message {
                    prop_assert_eq!(bytes.len(), MAX_CHUNK_BYTES);
                }
            } else {
                prop_assert!(ends_message);
            }
            begins_message = ends_message;
        }
    }

    #[test]
    fn a_batch_is_the_same_stream_as_its_appends_one_by_one(
        texts in proptest::collection::vec("[a-z]{1,40}", 1..30),
        budget in 0usize..200,
    ) {
        let stream = head();
        let run = |size: usize| {
            let mut stream = stream.clone();
            let (mut kept, mut next) = (Kept::default(), ids());
            for group in texts.chunks(size) {
                let mut batch = Batch::new(stream.clone(), 0);
                for text in group {
                    batch.append(&append(&stream, bytes(text)), &LIMITS, 1).unwrap();
                }
                let settled = batch.settle(CommitId::of(7), budget, &mut next);
                kept.store(&settled);
                stream = settled.head;
            }
            let segments = kept.segments(&stream);
            segments.into_iter().flat_map(|segment| segment.1).collect::<Vec<u8>>()
        };
        prop_assert_eq!(run(1), run(texts.len()));
        prop_assert_eq!(run(1), texts.concat().into_bytes());
    }

    /// The same attempt on the same head produces the same bytes, so a repeated swap writes the
    /// same value.
    #[test]
    fn an_attempt_repeated_is_the_same_head(
        texts in proptest::collection::vec("[a-z]{1,40}", 1..10),
        budget in 0usize..100,
        id: u64,
    ) {
        let stream = head();
        let run = || {
            let mut batch = Batch::new(stream.clone(), 0);
            for text in &texts {
                batch.append(&append(&stream, bytes(text)), &LIMITS, 1).unwrap();
            }
            batch.settle(CommitId::of(id), budget, ids())
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn the_inline_tail_is_sealed_before_the_first_byte_of_a_newer_timeline() {
    let mut stream = head();
    let commit = |stream: &Head, text: &str, timeline| {
        let mut batch = Batch::new(stream.clone(), timeline);
        let append = append(stream, bytes(text));
        batch.append(&append, &LIMITS, 1).unwrap();
        batch.settle(CommitId::of(1), 100, ids()).head
    };
    stream = commit(&stream, "abc", 0);
    assert_eq!(
        (stream.tail(), stream.recent.len()),
        (Position::on(0, 0, 3), 0)
    );
    stream = commit(&stream, "de", 5);
    assert_eq!(
        (stream.tail(), stream.recent.len()),
        (Position::on(5, 1, 2), 1)
    );
    assert_eq!(stream.inline, b"de");
    // An instance with an older variable continues on the stream's timeline.
    stream = commit(&stream, "f", 4);
    assert_eq!(
        (stream.tail(), stream.recent.len()),
        (Position::on(5, 1, 3), 1)
    );
    // A close adds no bytes and seals no segment.
    let mut batch = Batch::new(stream.clone(), 9);
    let close = Append {
        payload: None,
        close: true,
        ..append(&stream, bytes(""))
    };
    batch.append(&close, &LIMITS, 1).unwrap();
    let closed = batch.settle(CommitId::of(1), 100, ids()).head;
    assert_eq!((closed.tail(), closed.timelines.last()), (stream.tail(), 5));
}

#[test]
fn a_stream_without_numbers_for_more_segments_is_full() {
    for (open, timeline, is_full) in [
        (SEGMENTS - 4, 0, false),
        (SEGMENTS - 3, 0, false),
        (SEGMENTS - 2, 0, true),
        (SEGMENTS, 0, true),
    ] {
        let mut stream = head();
        (stream.first, stream.recent_first) = (open, open);
        let mut batch = Batch::new(stream.clone(), timeline);
        let appended = batch.append(&append(&stream, bytes("a")), &LIMITS, 1);
        assert_eq!(appended == Err(AppendError::StreamFull), is_full, "{open}");
    }
    let mut stream = head();
    for timeline in 1..=TIMELINES as u64 {
        stream.timelines.begin(timeline, timeline);
    }
    stream.recent_first = TIMELINES as u64 + 1;
    for (timeline, is_full) in [(TIMELINES as u64, false), (TIMELINES as u64 + 1, true)] {
        let mut batch = Batch::new(stream.clone(), timeline);
        let appended = batch.append(&append(&stream, bytes("a")), &LIMITS, 1);
        assert_eq!(
            appended == Err(AppendError::StreamFull),
            is_full,
            "{timeline}"
        );
    }
}

#[test]
fn a_gap_says_that_history_may_be_lost_where_the_store_went_back() {
    let stream = head();
    for (timeline, may_be_lost) in [(0, false), (1, true)] {
        let mut batch = Batch::new(stream.clone(), timeline);
        let id = "p".to_owned();
        let append = Append {
            producer: Some(Producer {
                id,
                epoch: 0,
                seq: 4,
            }),
            ..append(&stream, bytes("a"))
        };
        let gap = batch.append(&append, &LIMITS, 1).unwrap_err();
        assert_eq!(gap.to_string().contains("history was lost"), may_be_lost);
        assert_eq!(gap.to_string().contains("greater epoch"), may_be_lost);
    }
}
