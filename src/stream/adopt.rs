//! Adoption of producers: a stream that was moved from another server gets the producers that it had
//! there, so that retries of their appends are recognised.
//!
//! The checks, in this order; the first that fails determines the response:
//!
//! 1. the tail is the one that the caller copied up to (412): otherwise an adopted number could stand
//!    for an append that the stream does not have
//! 2. no producer of the stream is past its adopted mark (409)
//! 3. for a closing append: the stream is closed, and by no other producer (409)
//! 4. room for the producers (429)
//!
//! A repeated adoption changes nothing. It is no use of the stream and moves no TTL.

use super::producer::{NoRoom, longest_idle};
use super::{Head, Position, ProducerMark, ProducerState};
use std::collections::BTreeSet;

/// The producers that a stream had on another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The tail of the stream after all copied appends.
    pub tail: Position,
    /// The last append of each producer, without two of the same producer.
    pub producers: Vec<AdoptedProducer>,
    /// The append that closed the stream, if a producer sent it.
    pub closed_by: Option<ProducerMark>,
}

/// A producer on another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdoptedProducer {
    /// The last append.
    pub last: ProducerMark,
    /// Time of the last append, milliseconds since 1970; `None` if it is unknown. Then the producer
    /// counts as used at the adoption, as it does for a later time.
    pub used_ms: Option<u64>,
}

/// Reason why an adoption was refused. The stream is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The stream has another tail.
    #[error(
        "The stream's tail is not if_tail: it got other appends. Compare its bytes with the copied \
         ones before you send its producers."
    )]
    OtherTail,
    /// A producer of the stream appended after the adopted append.
    #[error(
        "A producer is past its adopted append: it has written to this stream since the copy. Its \
         present numbers stay."
    )]
    Past,
    /// The stream is open, or was closed by another append.
    #[error(
        "closed_by is not how this stream was closed. Close the stream without a producer before \
         you send closed_by."
    )]
    OtherClose,
    /// There is no room for all the producers.
    #[error(
        "The stream has no room for so many producers. Raise max_producers, or send them again when \
         others have been idle for a while."
    )]
    TooMany {
        /// Time until a producer may have been idle for long enough, in milliseconds.
        wait_ms: u64,
    },
}

impl Head {
    /// Adopts producers at `clock_ms`, milliseconds since 1970. At most `most` are remembered, and
    /// one that was idle for `idle_ms` makes room for another. Returns whether the head changed.
    ///
    /// # Errors
    ///
    /// The first check that failed, in the module's order. The head is unchanged.
    pub fn adopt(
        &mut self,
        adoption: &Adoption,
        most: usize,
        idle_ms: u64,
        clock_ms: u64,
    ) -> Result<bool, AdoptError> {
        let now_ms = self.now_ms(clock_ms);
        if self.tail() != adoption.tail {
            return Err(AdoptError::OtherTail);
        }
        for AdoptedProducer { last, .. } in &adoption.producers {
            let number = |mark: &ProducerMark| (mark.epoch, mark.seq);
            let known = self.producers.iter().map(|state| &state.last);
            let mut known = known.filter(|known| known.id == last.id);
            if known.any(|known| number(known) > number(last)) {
                return Err(AdoptError::Past);
            }
        }
        let is_by_other = self.closed.as_ref().is_none_or(|closed| {
            let by = closed.by.as_ref();
            by.is_some() && by != adoption.closed_by.as_ref()
        });
        if adoption.closed_by.is_some() && is_by_other {
            return Err(AdoptError::OtherClose);
        }
        let producers = self.with_adopted(&adoption.producers, most, idle_ms, now_ms)?;
        let mut changed = producers != self.producers;
        self.producers = producers;
        if let (Some(closed), Some(mark)) = (&mut self.closed, adoption.closed_by) {
            changed |= closed.by != Some(mark);
            closed.by = Some(mark);
        }
        Ok(changed)
    }

    /// The table of producers with these in it. None of them makes room for another of them.
    fn with_adopted(
        &self,
        adopted: &[AdoptedProducer],
        most: usize,
        idle_ms: u64,
        now_ms: u64,
    ) -> Result<Vec<ProducerState>, AdoptError> {
        let ids: BTreeSet<_> = adopted.iter().map(|adopted| adopted.last.id).collect();
        let mut producers = self.producers.clone();
        for AdoptedProducer { last, used_ms } in adopted {
            let mut state = ProducerState {
                last: *last,
                used_ms: used_ms.map_or(now_ms, |used_ms| used_ms.min(now_ms)),
            };
            let known = producers.iter_mut().find(|known| known.last.id == last.id);
            if let Some(known) = known {
                if known.last != *last {
                    state.used_ms = state.used_ms.max(known.used_ms);
                    *known = state;
                }
            } else if producers.len() < most {
                producers.push(state);
            } else {
                let others = producers.iter().enumerate();
                let others = others.filter(|(_, other)| !ids.contains(&other.last.id));
                let idle = longest_idle(others, idle_ms, now_ms)
                    .map_err(|NoRoom { wait_ms }| AdoptError::TooMany { wait_ms })?;
                if let Some(idle) = producers.get_mut(idle) {
                    *idle = state;
                }
            }
        }
        Ok(producers)
    }
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
