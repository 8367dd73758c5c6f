//! Tests of adoptions.

use super::*;
use crate::stream::{
    Append, AppendError, AppendLimits, Appended, Batch, Closed, ContentType, Payload, Producer,
    Reason, test_head,
};

const IDLE_MS: u64 = 300_000;
const NOW: u64 = 10_000;

fn mark(id: &str, epoch: u64, seq: u64) -> ProducerMark {
    sender(id, epoch, seq).mark()
}

fn sender(id: &str, epoch: u64, seq: u64) -> Producer {
    let id = id.to_owned();
    Producer { id, epoch, seq }
}

fn head() -> Head {
    let mut head = test_head();
    head.inline = b"hello".to_vec();
    head
}

fn adoption(producers: &[ProducerMark]) -> Adoption {
    Adoption {
        tail: Position::new(0, 5),
        producers: producers.iter().copied().map(used_now).collect(),
        closed_by: None,
    }
}

fn used_now(last: ProducerMark) -> AdoptedProducer {
    AdoptedProducer {
        last,
        used_ms: None,
    }
}

fn adopt(head: &mut Head, adoption: &Adoption) -> Result<bool, AdoptError> {
    head.adopt(adoption, 3, IDLE_MS, NOW)
}

fn append(head: &Head, producer: Producer, close: bool) -> Result<Appended, AppendError> {
    let limits = AppendLimits {
        stream_bytes: 0,
        producers: 3,
        producer_idle_ms: IDLE_MS,
    };
    let append = Append {
        payload: Some(Ok(Payload::Bytes(b"x".to_vec()))),
        content_type: Some(ContentType::octets()),
        producer: Some(producer),
        close,
        ..Append::default()
    };
    Batch::new(head.clone(), 0).append(&append, &limits, NOW)
}

#[test]
fn an_adopted_producer_goes_on_as_on_the_other_server() {
    let mut head = head();
    assert_eq!(adopt(&mut head, &adoption(&[mark("p", 4, 9)])), Ok(true));
    let fresh = |epoch, seq| append(&head, sender("p", epoch, seq), false).map(|done| done.fresh);
    assert_eq!(fresh(4, 9), Ok(false));
    assert_eq!(fresh(4, 0), Ok(false));
    assert_eq!(fresh(4, 10), Ok(true));
    assert_eq!(fresh(5, 0), Ok(true));
    let fenced = AppendError::Fenced {
        current: 4,
        received: 3,
    };
    assert_eq!(fresh(3, 10), Err(fenced));
    assert!(matches!(fresh(4, 11), Err(AppendError::Gap { .. })));
}

#[test]
fn a_repeated_adoption_changes_nothing() {
    let mut head = head();
    let both = adoption(&[mark("p", 4, 9), mark("q", 0, 0)]);
    assert_eq!(adopt(&mut head, &both), Ok(true));
    let before = head.clone();
    assert_eq!(head.adopt(&both, 3, IDLE_MS, NOW + 5_000), Ok(false));
    assert_eq!(head, before);
    assert_eq!(head.touched_ms, test_head().touched_ms);
}

#[test]
fn an_adoption_for_another_tail_is_refused() {
    let mut head = head();
    let before = head.clone();
    let mut other = adoption(&[mark("p", 4, 9)]);
    other.tail = Position::new(0, 4);
    assert_eq!(adopt(&mut head, &other), Err(AdoptError::OtherTail));
    assert_eq!(head, before);
}

#[test]
fn a_producer_never_goes_back() {
    for (known, adopted, accepted) in [
        ((4, 9), (4, 9), Ok(false)),
        ((4, 9), (4, 10), Ok(true)),
        ((4, 9), (5, 0), Ok(true)),
        ((4, 9), (4, 8), Err(AdoptError::Past)),
        ((4, 9), (3, 50), Err(AdoptError::Past)),
    ] {
        let mut head = head();
        let known = mark("p", known.0, known.1);
        adopt(&mut head, &adoption(&[known])).unwrap();
        let before = head.clone();
        let adopted = mark("p", adopted.0, adopted.1);
        // The other producer is not adopted either.
        let both = adoption(&[mark("q", 1, 1), adopted]);
        let only = adoption(&[adopted]);
        assert_eq!(adopt(&mut head, &only), accepted, "{adopted:?}");
        if accepted.is_err() {
            assert_eq!(adopt(&mut head, &both), accepted);
            assert_eq!(head, before);
        }
    }
}

#[test]
fn producers_beyond_the_room_are_refused_until_others_were_idle() {
    let mut head = head();
    let own = adoption(&[mark("own", 0, 0)]);
    adopt(&mut head, &own).unwrap();
    let three = adoption(&[mark("a", 1, 1), mark("b", 1, 1), mark("c", 1, 1)]);
    let before = head.clone();
    let wait_ms = IDLE_MS + 1;
    assert_eq!(
        adopt(&mut head, &three),
        Err(AdoptError::TooMany { wait_ms })
    );
    assert_eq!(head, before);
    assert_eq!(head.adopt(&three, 3, IDLE_MS, NOW + wait_ms), Ok(true));
    let ids: Vec<_> = head.producers.iter().map(|state| state.last).collect();
    assert_eq!(ids.len(), 3);
    assert!(
        three
            .producers
            .iter()
            .all(|producer| ids.contains(&producer.last))
    );
}

/// The second entry once took the place of the first, whose retry was then appended again.
#[test]
fn no_adopted_producer_makes_room_for_another_one() {
    let late = NOW + 2 * IDLE_MS;
    let states = |head: &Head| -> Vec<_> {
        let states = head.producers.iter();
        states.map(|state| (state.last, state.used_ms)).collect()
    };
    let (a, b, c) = (mark("a", 0, 0), mark("b", 0, 0), mark("c", 0, 0));
    let mut head = head();
    adopt(&mut head, &adoption(&[a])).unwrap();
    head.adopt(&adoption(&[b]), 3, IDLE_MS, late).unwrap();
    let before = head.clone();
    let refused = head.adopt(&adoption(&[a, c]), 2, IDLE_MS, late);
    let wait_ms = IDLE_MS + 1;
    assert_eq!(refused, Err(AdoptError::TooMany { wait_ms }));
    assert_eq!(head, before);
    // The other producer makes room, and those that are known stay as they are.
    let later = late + wait_ms;
    assert_eq!(head.adopt(&adoption(&[a, c]), 2, IDLE_MS, later), Ok(true));
    assert_eq!(states(&head), [(a, NOW), (c, later)]);
}

#[test]
fn an_adopted_producer_was_last_used_when_the_other_server_says_and_never_later_than_now() {
    for (known, used_ms, expected) in [
        (None, None, NOW),
        (None, Some(7), 7),
        (None, Some(NOW + 1), NOW),
        (Some(3), Some(7), 7),
        (Some(9), Some(7), 9),
    ] {
        let mut head = head();
        if let Some(used_ms) = known {
            let last = mark("p", 0, 0);
            head.producers = vec![ProducerState { last, used_ms }];
        }
        let mut adoption = adoption(&[mark("p", 4, 9)]);
        adoption.producers[0].used_ms = used_ms;
        assert_eq!(adopt(&mut head, &adoption), Ok(true));
        assert_eq!(head.producers[0].used_ms, expected, "{known:?} {used_ms:?}");
    }
}

#[test]
fn a_retry_of_the_close_is_recognised_after_a_move() {
    let by = mark("p", 4, 9);
    let mut closing = adoption(&[by]);
    closing.closed_by = Some(by);
    let mut head = head();
    assert_eq!(adopt(&mut head, &closing), Err(AdoptError::OtherClose));
    head.close(Closed {
        by: None,
        reason: Some(Reason::parse("done").unwrap()),
    });
    assert_eq!(adopt(&mut head, &closing), Ok(true));
    assert_eq!(adopt(&mut head, &closing), Ok(false));
    assert_eq!(head.close_reason(), Some("done"));
    let again = append(&head, sender("p", 4, 9), true);
    assert!(again.is_ok_and(|again| again.closed && !again.fresh));
    let later = append(&head, sender("p", 4, 10), true);
    assert!(matches!(later, Err(AppendError::Closed { .. })));
    closing.closed_by = Some(mark("q", 0, 0));
    assert_eq!(adopt(&mut head, &closing), Err(AdoptError::OtherClose));
}
