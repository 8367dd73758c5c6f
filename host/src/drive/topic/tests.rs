use super::*;
use crate::exchange::ResponseContext;
use bytes::Bytes;
use futures::FutureExt;
use std::time::Duration;

fn waiting(topic: &Arc<Topic>, noted: u64) {
    let now = Instant::now();
    let waiter = Waiter::new(Reader::new(ResponseContext::default(), now.into_std()));
    let token = Token(Bytes::from_static(b"the same"));
    let over = now + Duration::from_secs(30);
    topic.insert(vec![waiter], token, ChangeNumber::new(noted), over);
}

/// A key could change after the step of a joining reader and before the reader was in the group. If
/// the task compared the numbers in between, the reader waited for the next change or its timeout.
#[test]
fn a_reader_that_joins_after_its_change_was_compared_is_checked() {
    let topic = Arc::new(Topic::new("key".into()));
    waiting(&topic, 5);
    let due = topic.take_due(ChangeNumber::new(5), Instant::now(), false);
    assert!(due.is_empty(), "it knows of that change");
    assert!(topic.arm().is_some());
    waiting(&topic, 5);
    let rung = topic.ring().now_or_never();
    assert_eq!(rung, None, "it too");
    waiting(&topic, 4);
    let rung = topic.ring().now_or_never();
    assert_eq!(rung, Some(()));
    let due = topic.take_due(ChangeNumber::new(5), Instant::now(), false);
    assert_eq!(due.len(), 1);
}

/// Likewise at shutdown: the server waited for the reader.
#[test]
fn a_reader_that_joins_after_all_were_ended_is_checked() {
    let topic = Arc::new(Topic::new("key".into()));
    topic.take_due(ChangeNumber::new(5), Instant::now(), true);
    waiting(&topic, 5);
    assert_eq!(topic.ring().now_or_never(), Some(()));
}

/// A reader of a stream that changed all the time was never ended. The task checked the age of
/// readers only if they had nothing new to read.
#[test]
fn a_change_ends_only_the_readers_whose_time_is_over() {
    let now = Instant::now();
    let reader = |max_age: Option<u64>| {
        let max_age = max_age.map(Duration::from_secs);
        let held = ResponseContext {
            max_age,
            ..ResponseContext::default()
        };
        Waiter::new(Reader::new(held, now.into_std()))
    };
    let readers = [reader(Some(5)), reader(None), reader(Some(10))];
    let topic = Arc::new(Topic::new("key".into()));
    let token = Token(Bytes::from_static(b"the same"));
    let over = now + Duration::from_secs(30);
    topic.insert(readers.to_vec(), token, ChangeNumber::new(1), over);
    let due = topic.take_due(ChangeNumber::new(2), now + Duration::from_secs(5), false);
    let causes: Vec<_> = due
        .iter()
        .map(|due| (due.cause, due.waiters.len()))
        .collect();
    assert_eq!(causes, [(Cause::Expired, 1), (Cause::Changed, 2)]);
    assert!(Arc::ptr_eq(&due[0].waiters[0], &readers[0]));
    assert!(topic.arm().is_none(), "no reader waits any more");
}

/// Readers of a stream with a TTL, which every read touches, never got a heartbeat.
#[test]
fn a_change_that_brings_nothing_does_not_put_off_the_end_of_a_wait() {
    let now = Instant::now();
    let secs = Duration::from_secs;
    let reader = Waiter::new(Reader::new(ResponseContext::default(), now.into_std()));
    let topic = Arc::new(Topic::new("key".into()));
    let token = Token(Bytes::from_static(b"the same"));
    let wait = |begun: u64, noted: u64| {
        let (waiters, over) = (vec![Arc::clone(&reader)], now + secs(begun) + secs(30));
        topic.insert(waiters, token.clone(), ChangeNumber::new(noted), over);
    };
    let due = |changed: u64, at: u64| {
        let due = topic.take_due(ChangeNumber::new(changed), now + secs(at), false);
        due.first().map(|due| due.cause)
    };
    wait(0, 1);
    assert_eq!(due(2, 20), Some(Cause::Changed));
    wait(20, 2);
    assert_eq!(due(2, 29), None);
    assert_eq!(due(2, 30), Some(Cause::Timeout));
    reader.reader.end_wait();
    wait(30, 2);
    assert_eq!(due(2, 59), None);
    assert_eq!(due(2, 60), Some(Cause::Timeout));
}
