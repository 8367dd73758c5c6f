//! Checks of appends: their order, closed streams and producers.

use super::*;

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
