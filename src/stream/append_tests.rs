use super::*;
use crate::limits::{BLOCK_SEGMENTS, MAX_CHUNK_BYTES, SEGMENTS, TIMELINES};
use crate::stream::head::tests::head;
use crate::stream::producer::producer_id;
use crate::stream::{Block, Chunk, InvalidMessages, Position, Producer, Segment};
use proptest::prelude::*;

const LIMITS: AppendLimits = AppendLimits {
    stream_bytes: 0,
    producers: 256,
    producer_idle_ms: 1_000,
};

fn json() -> Head {
    let content_type = ContentType::parse("application/json").unwrap();
    Head {
        content_type,
        ..head()
    }
}

/// Messages of these sizes, including commas, with all message ends.
fn messages(sizes: &[usize]) -> Payload {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for size in sizes {
        bytes.resize(bytes.len() + size - 1, b'1');
        bytes.push(b',');
        ends.push(bytes.len());
    }
    Payload::Messages { bytes, ends }
}

fn append(head: &Head, payload: Payload) -> Append {
    Append {
        payload: Some(Ok(payload)),
        content_type: Some(head.content_type.clone()),
        ..Append::default()
    }
}

fn bytes(text: &str) -> Payload {
    Payload::Bytes(text.as_bytes().to_vec())
}

/// The stored chunks and blocks of a stream, from which its readers read.
#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Chunk>,
    blocks: Vec<Block>,
}

impl Kept {
    fn store(&mut self, settled: &Settled) {
        self.chunks.extend(settled.chunks.iter().cloned());
        self.blocks.extend(settled.blocks.iter().cloned());
    }

    /// Returns all segments with their bytes, from the first to the open one.
    fn segments(&self, head: &Head) -> Vec<(u64, Vec<u8>, bool)> {
        let mut number = head.first;
        let mut all = Vec::new();
        let listed = self.blocks.iter().flat_map(|block| &block.segments);
        for segment in listed.chain(&head.recent) {
            let chunk = self.chunks.iter().find(|chunk| chunk.id == segment.id);
            let bytes = chunk.unwrap().bytes.clone();
            assert_eq!(bytes.len(), segment.length as usize);
            assert!((1..=MAX_CHUNK_BYTES).contains(&bytes.len()));
            all.push((number, bytes, segment.ends_message));
            number += 1;
        }
        assert_eq!(number, head.open_segment());
        if !head.inline.is_empty() {
            all.push((number, head.inline.clone(), true));
        }
        all
    }
}

fn ids() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 1;
        next
    }
}

#[test]
fn checks_run_in_the_order_of_the_design() {
    // Failures are added one by one, from the last check to the first. Each added failure hides the
    // failures before it.
    let mut stream = json();
    stream.bytes = 10;
    stream.seq = Some(b"5".to_vec());
    stream.producers = vec![ProducerState {
        last: ProducerMark {
            id: producer_id("known"),
            epoch: 3,
            seq: 7,
        },
        used_ms: 1_000,
    }];
    let limits = AppendLimits {
        stream_bytes: 10,
        producers: 1,
        ..LIMITS
    };
    let run = |stream: &Head, append: &Append| {
        let mut batch = Batch::new(stream.clone(), 0);
        let result = batch.append(append, &limits, 1_500);
        assert!(!batch.changed(), "a refused append changed the stream");
        result
    };
    let mut wrong = append(&stream, messages(&[3]));
    assert_eq!(run(&stream, &wrong), Err(AppendError::StreamFull));
    let producer = |id: &str, epoch, seq| {
        let id = id.to_owned();
        Some(Producer { id, epoch, seq })
    };
    wrong.producer = producer("new", 0, 0);
    let refused = run(&stream, &wrong);
    assert!(matches!(refused, Err(AppendError::TooManyProducers { .. })));
    wrong.seq = Some(b"5".to_vec());
    assert!(matches!(run(&stream, &wrong), Err(AppendError::Seq { .. })));
    wrong.producer = producer("new", 0, 2);
    let gap = Err(AppendError::Gap {
        expected: 0,
        received: 2,
        may_be_lost: false,
    });
    assert_eq!(run(&stream, &wrong), gap);
    wrong.producer = producer("known", 4, 1);
    assert_eq!(run(&stream, &wrong), Err(AppendError::EpochStart));
    wrong.payload = Some(Err(InvalidMessages::EmptyArray));
    let invalid = Err(AppendError::Messages(InvalidMessages::EmptyArray));
    assert_eq!(run(&stream, &wrong), invalid);
    wrong.content_type = Some(ContentType::octets());
    let kind = run(&stream, &wrong);
    assert!(matches!(kind, Err(AppendError::ContentType { .. })));
    wrong.producer = producer("known", 3, 7);
    let duplicate = run(&stream, &wrong).unwrap();
    assert_eq!((duplicate.fresh, duplicate.producer), (false, Some((3, 7))));
    stream.closed = Some(Closed {
        by: None,
        reason: None,
    });
    let closed = run(&stream, &wrong);
    assert!(matches!(closed, Err(AppendError::Closed { .. })));
    wrong.producer = producer("known", 2, 9);
    let fenced = Err(AppendError::Fenced {
        current: 3,
        received: 2,
    });
    assert_eq!(run(&stream, &wrong), fenced);
}

#[test]
fn a_closed_stream_takes_a_close_without_producer_or_the_very_append_that_closed_it() {
    let close = |producer: Option<(&str, u64, u64)>| Append {
        producer: producer.map(|(id, epoch, seq)| Producer {
            id: id.to_owned(),
            epoch,
            seq,
        }),
        close: true,
        ..Append::default()
    };
    let closed_by = |closer: &Append| {
        let mut batch = Batch::new(head(), 0);
        batch.append(closer, &LIMITS, 1).unwrap();
        batch.settle(CommitId::of(1), 0, ids()).head
    };
    let again = |stream: &Head, append: &Append| {
        let mut batch = Batch::new(stream.clone(), 0);
        let result = batch.append(append, &LIMITS, 2);
        assert!(!batch.changed(), "{append:?}");
        result.map(|appended| appended.producer)
    };
    let late = |expected, received| {
        Err(AppendError::Closed {
            tail: 0,
            reason: None,
            numbers: Some((expected, received)),
        })
    };
    for closer in [close(None), close(Some(("a", 1, 0)))] {
        let stream = closed_by(&closer);
        assert_eq!(again(&stream, &close(None)), Ok(None));
        let own = closer.producer.as_ref().map(|own| (own.epoch, own.seq));
        assert_eq!(again(&stream, &closer), Ok(own));
        let next = if own.is_some() { 1 } else { 0 };
        for (other, expected) in [(("b", 0, 0), 0), (("a", 1, 1), next), (("a", 2, 0), 0)] {
            let refused = again(&stream, &close(Some(other)));
            assert_eq!(refused, late(expected, other.2), "{other:?}");
        }
    }
}

#[test]
fn a_producer_that_is_kept_longer_is_not_forgotten_before_the_others() {
    let limits = AppendLimits {
        producers: 2,
        ..LIMITS
    };
    let mut stream = head();
    stream.touched_ms = 0;
    let mut send = |id: &str, keep_ms, now_ms| {
        let mut one = append(&stream, bytes("x"));
        one.producer = Some(Producer {
            id: id.to_owned(),
            epoch: 0,
            seq: 0,
        });
        one.keep_ms = keep_ms;
        let mut batch = Batch::new(stream.clone(), 0);
        let sent = batch.append(&one, &limits, now_ms);
        if batch.changed() {
            stream = batch.settle(CommitId::of(1), 100, ids()).head;
        }
        sent.map(|appended| appended.fresh)
    };
    assert_eq!(send("kept", 10_000, 1), Ok(true));
    assert_eq!(send("a", 0, 2), Ok(true));
    // The idle times of both producers are over, but only the other producer is forgotten.
    for (now_ms, id) in [(1_100, "b"), (2_200, "c"), (3_300, "d")] {
        assert_eq!(send(id, 0, now_ms), Ok(true), "{id}");
        assert_eq!(send("kept", 10_000, now_ms), Ok(false), "{id}");
    }
}

/// A clock that was a day ahead would have kept the producer table full for that day.
#[test]
fn a_producer_of_a_clock_that_was_ahead_is_forgotten_all_the_same() {
    let limits = AppendLimits {
        producers: 1,
        ..LIMITS
    };
    let mut stream = head();
    stream.producers = vec![ProducerState {
        last: ProducerMark {
            id: producer_id("early"),
            epoch: 0,
            seq: 0,
        },
        used_ms: 86_400_000,
    }];
    let mut one = append(&stream, bytes("x"));
    one.producer = Some(Producer {
        id: "new".to_owned(),
        epoch: 0,
        seq: 0,
    });
    let refused = Batch::new(stream.clone(), 0).append(&one, &limits, 1);
    let most = crate::limits::WAKE_KEEP_MS + LIMITS.producer_idle_ms + 1;
    assert_eq!(
        refused,
        Err(AppendError::TooManyProducers { wait_ms: most })
    );
}

#[test]
fn a_refused_append_leaves_those_around_it_in_one_batch() {
    let stream = head();
    let mut batch = Batch::new(stream.clone(), 0);
    let tails: Vec<_> = ["a", "bb", "", "ccc"]
        .iter()
        .map(|text| {
            let mut append = append(&stream, bytes(text));
            if text.is_empty() {
                append.content_type = None;
            }
            batch
                .append(&append, &LIMITS, 9_000)
                .ok()
                .map(|done| done.tail)
        })
        .collect();
    assert_eq!(tails, [Some(1), Some(3), None, Some(6)]);
    let settled = batch.settle(CommitId::of(77), 100, ids());
    assert_eq!(settled.head.inline, b"abbccc");
    assert_eq!(settled.head.version, stream.version + 1);
    assert!(settled.head.ring.contains(77));
    assert_eq!(settled.head.touched_ms, 9_000);
    assert_eq!(settled.position(3), Position::new(0, 3));
}

#[test]
fn a_retry_in_the_batch_of_its_original_is_a_duplicate() {
    let stream = head();
    let mut batch = Batch::new(stream.clone(), 0);
    let mut append = append(&stream, bytes("x"));
    append.producer = Some(Producer {
        id: "p".to_owned(),
        epoch: 0,
        seq: 0,
    });
    let first = batch.append(&append, &LIMITS, 1).unwrap();
    let second = batch.append(&append, &LIMITS, 1).unwrap();
    assert_eq!((first.fresh, second.fresh), (true, false));
    assert_eq!(first.tail, second.tail);
    assert_eq!(batch.settle(CommitId::of(1), 100, ids()).head.inline, b"x");
}

#[test]
fn a_close_alone_seals_nothing_and_ends_the_batch_for_others() {
    let mut stream = head();
    stream.inline = b"tail".to_vec();
    let mut batch = Batch::new(stream.clone(), 0);
    let close = Append {
        payload: None,
        content_type: None,
        close: true,
        ..append(&stream, bytes(""))
    };
    assert!(batch.append(&close, &LIMITS, 1).unwrap().closed);
    let late = batch.append(&append(&stream, bytes("x")), &LIMITS, 1);
    assert!(matches!(late, Err(AppendError::Closed { tail: 4, .. })));
    let settled = batch.settle(CommitId::of(1), 0, ids());
    assert!(settled.chunks.is_empty());
    assert_eq!(settled.position(4), Position::new(0, 4));
    assert_eq!(settled.head.closed.unwrap().by, None);
}

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
