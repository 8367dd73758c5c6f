//! Idempotent producers (section 5.2.1).

use crate::limits::WAKE_KEEP_MS;
use sha2::{Digest, Sha256};

/// The producer fields of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The producer's name, not empty.
    pub id: String,
    /// The producer's session, at most `limits::MAX_PRODUCER_NUMBER`.
    pub epoch: u64,
    /// The number of this append in the session, at most `limits::MAX_PRODUCER_NUMBER`.
    pub seq: u64,
}

/// A producer's name in stored form: the first 128 bits of its SHA-256.
pub(crate) type ProducerId = [u8; 16];

/// Returns the stored form of a producer's name.
#[must_use]
pub(crate) fn producer_id(name: &str) -> ProducerId {
    let digest = Sha256::digest(name.as_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    id
}

/// One append of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerMark {
    /// The producer.
    pub id: ProducerId,
    /// The session of the producer.
    pub epoch: u64,
    /// The number of the append in the session.
    pub seq: u64,
}

impl Producer {
    /// Returns the mark of this append, in stored form.
    #[must_use]
    pub fn mark(&self) -> ProducerMark {
        ProducerMark {
            id: producer_id(&self.id),
            epoch: self.epoch,
            seq: self.seq,
        }
    }
}

/// The state of a producer that a stream remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerState {
    /// The producer's last accepted append.
    pub last: ProducerMark,
    /// Time of the last append, milliseconds since 1970, plus the additional time for which the
    /// state is kept.
    pub used_ms: u64,
}

/// Relation of an append to the remembered state of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProducerStatus {
    /// The append is the next one.
    Next,
    /// The append was accepted before. `highest` is the highest accepted sequence number of its
    /// epoch.
    Duplicate { highest: u64 },
    /// The append's epoch has ended.
    Fenced { current: u64 },
    /// The append begins an epoch, but not with 0.
    BadStart,
    /// Appends before this one are missing.
    Gap { expected: u64 },
}

/// Compares `mark` with the remembered state of its producer.
pub(super) fn standing(known: Option<&ProducerState>, mark: &ProducerMark) -> ProducerStatus {
    let Some(known) = known else {
        return match mark.seq {
            0 => ProducerStatus::Next,
            _ => ProducerStatus::Gap { expected: 0 },
        };
    };
    let last = known.last;
    let next = last.seq.saturating_add(1);
    match mark.epoch.cmp(&last.epoch) {
        std::cmp::Ordering::Less => ProducerStatus::Fenced {
            current: last.epoch,
        },
        std::cmp::Ordering::Greater if mark.seq == 0 => ProducerStatus::Next,
        std::cmp::Ordering::Greater => ProducerStatus::BadStart,
        std::cmp::Ordering::Equal if mark.seq <= last.seq => {
            ProducerStatus::Duplicate { highest: last.seq }
        }
        std::cmp::Ordering::Equal if mark.seq == next => ProducerStatus::Next,
        std::cmp::Ordering::Equal => ProducerStatus::Gap { expected: next },
    }
}

/// No producer was idle long enough to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRoom {
    /// Milliseconds until a producer will have been idle for long enough.
    pub(super) wait_ms: u64,
}

/// Returns the index in `producers` for the state of `id`. If all `most` places are taken, the
/// index is that of the producer that was idle longest, if it was idle for `idle_ms`.
pub(super) fn place(
    producers: &[ProducerState],
    id: &ProducerId,
    most: usize,
    idle_ms: u64,
    now_ms: u64,
) -> Result<usize, NoRoom> {
    if let Some(place) = producers.iter().position(|state| state.last.id == *id) {
        return Ok(place);
    }
    if producers.len() < most {
        return Ok(producers.len());
    }
    longest_idle(producers.iter().enumerate(), idle_ms, now_ms)
}

/// Returns the index of the producer that was idle longest, if it was idle for `idle_ms`.
pub(super) fn longest_idle<'a>(
    producers: impl Iterator<Item = (usize, &'a ProducerState)>,
    idle_ms: u64,
    now_ms: u64,
) -> Result<usize, NoRoom> {
    let oldest = producers.min_by_key(|(_, state)| state.used_ms);
    let Some((place, oldest)) = oldest else {
        return Err(NoRoom { wait_ms: idle_ms });
    };
    // A clock that was ahead must not keep the table full until that time.
    let used_ms = oldest.used_ms.min(now_ms.saturating_add(WAKE_KEEP_MS));
    let due_ms = used_ms.saturating_add(idle_ms).saturating_add(1);
    match due_ms.saturating_sub(now_ms) {
        0 => Ok(place),
        wait_ms => Err(NoRoom { wait_ms }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(epoch: u64, seq: u64) -> ProducerMark {
        ProducerMark {
            id: [1; 16],
            epoch,
            seq,
        }
    }

    #[test]
    fn epochs_fence_and_sequences_have_no_gaps() {
        let known = ProducerState {
            last: mark(3, 5),
            used_ms: 0,
        };
        let judge = |epoch, seq| standing(Some(&known), &mark(epoch, seq));
        assert_eq!(judge(3, 6), ProducerStatus::Next);
        assert_eq!(judge(3, 5), ProducerStatus::Duplicate { highest: 5 });
        assert_eq!(judge(3, 0), ProducerStatus::Duplicate { highest: 5 });
        assert_eq!(judge(3, 8), ProducerStatus::Gap { expected: 6 });
        assert_eq!(judge(2, 6), ProducerStatus::Fenced { current: 3 });
        assert_eq!(judge(4, 0), ProducerStatus::Next);
        assert_eq!(judge(4, 1), ProducerStatus::BadStart);
        assert_eq!(standing(None, &mark(9, 0)), ProducerStatus::Next);
        assert_eq!(
            standing(None, &mark(0, 2)),
            ProducerStatus::Gap { expected: 0 }
        );
    }

    #[test]
    fn a_full_producer_table_forgets_only_producers_that_were_idle_long_enough() {
        let state = |byte, used_ms| ProducerState {
            last: ProducerMark {
                id: [byte; 16],
                epoch: 0,
                seq: 0,
            },
            used_ms,
        };
        let table = [state(1, 500), state(2, 100), state(3, 900)];
        assert_eq!(place(&table, &[3; 16], 3, 1_000, 5_000), Ok(2));
        assert_eq!(place(&table, &[9; 16], 4, 1_000, 1_000), Ok(3));
        assert_eq!(place(&table, &[9; 16], 3, 1_000, 1_101), Ok(1));
        assert_eq!(
            place(&table, &[9; 16], 3, 1_000, 1_100),
            Err(NoRoom { wait_ms: 1 })
        );
    }
}
