//! One joint attempt for requests that start together but have an attempt each. A driver passes all
//! POSTs that wait for one path. Appends share one attempt; POSTs for a subscription do not.

use super::exchange::{Answer, Next};
use crate::keys::codec::{Reader, Writer};

/// First byte of a joint attempt; no other attempt begins with it.
const TOGETHER: u8 = 0xff;

/// The attempt of each request, if they have one each.
pub(super) fn split(attempt: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader::new(attempt);
    if reader.byte() != Ok(TOGETHER) {
        return None;
    }
    let own = reader
        .many(|reader| reader.text().map(<[u8]>::to_vec))
        .ok()?;
    reader.end().ok().map(|()| own)
}

/// Gives all requests that start again one joint attempt, which has the attempt of each in order.
pub(super) fn join(answers: &mut [Answer]) {
    let mut waits = Vec::new();
    let mut own = Vec::new();
    for answer in answers.iter() {
        if let Next::Again { wait_ms, attempt } = &answer.next {
            waits.push(*wait_ms);
            own.push(attempt.clone());
        }
    }
    if own.windows(2).all(|pair| pair.first() == pair.last()) {
        return;
    }
    let mut writer = Writer::default();
    writer.byte(TOGETHER);
    writer.many(own.iter(), |writer, own| writer.text(own));
    let joined = writer.finish();
    let longest = waits.into_iter().max().unwrap_or_default();
    for answer in answers {
        if let Next::Again { wait_ms, attempt } = &mut answer.next {
            (*wait_ms, *attempt) = (longest, joined.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(wait_ms: u64, attempt: &[u8]) -> Answer {
        Answer::only(Next::Again {
            wait_ms,
            attempt: attempt.to_vec(),
        })
    }

    #[test]
    fn each_request_gets_its_own_attempt_back_in_the_order_of_the_remaining_ones() {
        let done = Answer::only(Next::Done);
        let mut answers = [again(3, b"one"), done.clone(), again(7, b"two")];
        join(&mut answers);
        assert_eq!(answers[0], answers[2]);
        assert_eq!(answers[1], done);
        let Next::Again { wait_ms, attempt } = &answers[0].next else {
            panic!("{:?}", answers[0]);
        };
        assert_eq!(*wait_ms, 7);
        let own = split(attempt).unwrap();
        assert_eq!(own, [b"one", b"two"]);
    }

    #[test]
    fn shared_attempts_stay_unchanged() {
        let mut answers = [again(3, b"one"), again(3, b"one")];
        let before = answers.clone();
        join(&mut answers);
        assert_eq!(answers, before);
        assert_eq!(split(b"one"), None);
    }
}
