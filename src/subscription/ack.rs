//! Calls of a worker about its work (sections 7.1 and 7.2): acks, heartbeats and releases.

use super::{Fence, Fenced, Phase, Subscription};
use crate::stream::{LifeMark, Position};
use serde::{Deserialize, Serialize};

/// Reason why an ack was refused. No cursor was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The ack refers to a wake that has ended.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The subscription is not linked to a stream.
    #[error("The stream is not linked to the subscription")]
    NotLinked {
        /// Index of the refused ack.
        place: usize,
    },
}

/// A cursor with its new position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// The hash of the stream's name.
    pub stream: [u8; 20],
    /// The worker has processed the stream up to this position.
    pub to: Position,
    /// The current life of the stream, if it exists.
    pub life: Option<LifeMark>,
}

impl Subscription {
    /// Moves all cursors forward, or none. Then extends the lease or, if the work is done, ends the
    /// wake.
    ///
    /// # Errors
    ///
    /// The wake has ended, or a stream is not linked. No cursor was moved.
    pub fn ack(
        &mut self,
        fence: Fence,
        acks: &[Acked],
        done: bool,
        now_ms: u64,
    ) -> Result<(), AckError> {
        self.expire(now_ms);
        self.check(fence)?;
        let is_missing = |ack: &Acked| self.links.get(&ack.stream).is_none();
        if let Some(place) = acks.iter().position(is_missing) {
            return Err(AckError::NotLinked { place });
        }
        for ack in acks {
            self.links.ack(&ack.stream, ack.to, ack.life);
        }
        self.failures = 0;
        let extended = now_ms.saturating_add(self.config.lease_ttl_ms);
        match &mut self.phase {
            phase if done => *phase = Phase::Idle,
            Phase::Idle => {}
            Phase::Waking {
                lease_ms,
                attempt_ms,
                ..
            } => {
                // A worker that acks has received the wake.
                *lease_ms = Some(extended);
                *attempt_ms = None;
            }
            Phase::Held { lease_ms, .. } => *lease_ms = extended,
        }
        Ok(())
    }

    /// Ends the wake without moving a cursor.
    ///
    /// # Errors
    ///
    /// The wake has ended.
    pub fn release(&mut self, fence: Fence, now_ms: u64) -> Result<(), Fenced> {
        self.expire(now_ms);
        self.check(fence)?;
        self.phase = Phase::Idle;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscription::Kind;
    use crate::subscription::record::tests::subscription;

    const STREAM: [u8; 20] = [1; 20];

    fn held() -> (Subscription, Fence) {
        let mut one = subscription(false);
        one.links
            .add(STREAM, Position::new(0, 3), Kind::Glob, None)
            .unwrap();
        one.claim("a", 9, 1_000, true).unwrap();
        let fence = one.fence().unwrap();
        (one, fence)
    }

    fn to(byte: u64) -> Acked {
        Acked {
            stream: STREAM,
            to: Position::new(0, byte),
            life: None,
        }
    }

    fn cursor(one: &Subscription) -> u64 {
        one.links.get(&STREAM).unwrap().acked.byte
    }

    #[test]
    fn an_ack_moves_cursors_and_extends_the_lease_until_it_is_done() {
        let (mut one, fence) = held();
        assert_eq!(one.ack(fence, &[to(5)], false, 20_000), Ok(()));
        assert_eq!((cursor(&one), one.due_ms()), (5, Some(50_000)));
        assert_eq!(one.ack(fence, &[to(4)], true, 20_000), Ok(()));
        assert_eq!((cursor(&one), one.is_idle()), (5, true));
    }

    #[test]
    fn a_call_about_another_wake_changes_nothing() {
        let (one, fence) = held();
        let later = Fence {
            generation: fence.generation + 1,
            ..fence
        };
        let other = Fence { wake: 1, ..fence };
        for (fence, now_ms) in [(later, 1_000), (other, 1_000), (fence, 31_000)] {
            let mut tried = one.clone();
            let refused = tried.ack(fence, &[to(5)], true, now_ms);
            assert_eq!(refused, Err(AckError::Fenced(Fenced)));
            assert_eq!(tried.release(fence, now_ms), Err(Fenced));
            assert_eq!(tried.links, one.links);
        }
    }

    #[test]
    fn a_wrong_stream_refuses_all_of_an_ack() {
        let (mut one, fence) = held();
        let strange = Acked {
            stream: [2; 20],
            ..to(1)
        };
        let refused = one.ack(fence, &[to(5), strange], true, 1_000);
        assert_eq!(refused, Err(AckError::NotLinked { place: 1 }));
        assert_eq!((cursor(&one), one.is_idle()), (3, false));
    }
}
