//! Appends and closes (sections 5.2 and 5.3), one or several in one commit.
//!
//! Each append is checked in this order. The first check that applies determines the response:
//!
//! 1. a fenced epoch (403)
//! 2. a closed stream (409); but 204 for a retry of the append that closed it, and for a close
//!    without a body and without producer fields
//! 3. a duplicate of its producer (204)
//! 4. the content type (409)
//! 5. JSON (400)
//! 6. an epoch that does not begin with 0 (400), or a gap (409)
//! 7. `If-Match` (412)
//! 8. `Stream-Seq` (409)
//! 9. room for the producer (429), and in the stream (413)
//!
//! So a retry of an applied append succeeds, and later checks do not matter. A refused append
//! changes nothing.
//!
//! A *heartbeat* renews the writer's lease, and adds nothing. Only its epoch is checked: it is no
//! append of its producer.

use super::producer::{NoRoom, ProducerStatus, place, standing};
use super::settle::{Growth, settle};
use super::{
    Append, AppendError, AppendLimits, Appended, Closed, ContentType, Expected, Head, Lease,
    LeaseRules, Payload, ProducerId, ProducerMark, ProducerState, Settled,
};

/// The producer of an append, with the state that the stream has for it.
#[derive(Debug, Clone, Copy)]
struct Sender {
    mark: ProducerMark,
    known: Option<ProducerState>,
    standing: ProducerStatus,
}

impl Sender {
    /// The epoch that was received, and the producer's current one, if the producer is known.
    fn epochs(self) -> Option<(u64, u64)> {
        let known = self.known?;
        Some((self.mark.epoch, known.last.epoch))
    }

    /// The producer's next sequence number, and the one that was received.
    fn numbers(self) -> (u64, u64) {
        let last = self.known.map(|known| known.last);
        let last = last.filter(|last| last.epoch == self.mark.epoch);
        let next = last.map_or(0, |last| last.seq.saturating_add(1));
        (next, self.mark.seq)
    }
}

/// A commit of appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitId {
    /// The random id of the commit.
    pub id: u64,
    /// Whether other commits succeeded while this one was attempted.
    pub contended: bool,
}

impl CommitId {
    /// The commit `id` of a stream without contention.
    #[must_use]
    pub const fn of(id: u64) -> Self {
        Self {
            id,
            contended: false,
        }
    }
}

/// Appends that are collected into one commit.
#[derive(Debug, Clone)]
pub struct Batch {
    head: Head,
    /// The store's timeline, as far as this instance knows it.
    timeline: u64,
    /// Number of bytes that were inline before the batch.
    kept: usize,
    ends: Vec<usize>,
    grew: bool,
    changed: bool,
}

impl Batch {
    /// Creates an empty batch on top of `head`, on the `timeline` of the store.
    #[must_use]
    pub fn new(head: Head, timeline: u64) -> Self {
        // The inline tail ends with a whole message, so a cut is possible there.
        let ends = vec![head.inline.len()];
        Self {
            timeline: timeline.max(head.timelines.last()),
            kept: head.inline.len(),
            head,
            ends,
            grew: false,
            changed: false,
        }
    }

    /// Whether the batch has changed the head.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.changed
    }

    /// Closes the stream if its writer's lease has lapsed at `clock_ms`, milliseconds since 1970.
    pub fn lapse(&mut self, clock_ms: u64, rules: LeaseRules) {
        if self.head.has_lapsed(clock_ms, rules) {
            self.head.lapse();
            self.changed = true;
        }
    }

    /// Adds one append at `clock_ms`, milliseconds since 1970, checked in the module's order.
    ///
    /// # Errors
    ///
    /// The first check that failed. The batch is unchanged.
    pub fn append(
        &mut self,
        append: &Append,
        limits: &AppendLimits,
        clock_ms: u64,
    ) -> Result<Appended, AppendError> {
        let now_ms = self.head.now_ms(clock_ms);
        let sender = append.producer.as_ref().map(|one| self.sender(one.mark()));
        if append.is_heartbeat() {
            return self.heartbeat(append, sender, clock_ms);
        }
        if let Some(before) = self.done_before(append, sender)? {
            return Ok(before);
        }
        let payload = self.payload(append)?;
        self.check_producer(sender)?;
        self.check_tail(append.expected)?;
        self.check_seq(append)?;
        let mark = sender.map(|sender| sender.mark);
        let slot = mark.map(|mark| self.producer_slot(&mark.id, limits, now_ms));
        let slot = slot.transpose()?;
        let total = self.grown(payload, limits)?;
        if let (Some(slot), Some(last)) = (slot, mark) {
            self.note_producer(slot, last, now_ms.saturating_add(append.keep_ms));
        }
        self.add(payload, total);
        self.head.touched_ms = now_ms;
        if append.seq.is_some() {
            self.head.seq.clone_from(&append.seq);
        }
        self.lease(append, clock_ms);
        if append.close {
            let reason = append.reason.clone();
            self.head.close(Closed { by: mark, reason });
        }
        self.changed = true;
        Ok(Appended {
            tail: self.tail(),
            closed: append.close,
            fresh: true,
            producer: mark.map(|mark| (mark.epoch, mark.seq)),
        })
    }

    /// Renews, sets or ends the lease without an append.
    fn heartbeat(
        &mut self,
        heartbeat: &Append,
        sender: Option<Sender>,
        clock_ms: u64,
    ) -> Result<Appended, AppendError> {
        if let Some((received, current)) = sender.and_then(Sender::epochs) {
            if received < current {
                return Err(AppendError::Fenced { current, received });
            }
            if received > current && self.head.closed.is_none() {
                return Err(AppendError::HeartbeatEpoch { current, received });
            }
        }
        if self.head.closed.is_some() {
            return Err(self.closed(None));
        }
        self.check_tail(heartbeat.expected)?;
        let now_ms = self.head.now_ms(clock_ms);
        self.head.touched_ms = now_ms;
        if let Some(sender) = sender {
            let mut known = self.head.producers.iter_mut();
            if let Some(known) = known.find(|known| known.last.id == sender.mark.id) {
                known.used_ms = known.used_ms.max(now_ms);
            }
        }
        self.lease(heartbeat, clock_ms);
        self.changed = true;
        Ok(Appended {
            tail: self.tail(),
            closed: false,
            fresh: true,
            producer: None,
        })
    }

    /// Sets the lease to the requested length, or renews it.
    fn lease(&mut self, append: &Append, clock_ms: u64) {
        match (append.lease_secs, &mut self.head.lease) {
            (Some(0), lease) => *lease = None,
            (Some(secs), lease) => {
                let renewed = lease.get_or_insert(Lease::new(secs, clock_ms));
                renewed.secs = secs;
                renewed.renew(clock_ms);
            }
            (None, Some(lease)) if append.payload.is_some() => lease.renew(clock_ms),
            (None, _) => {}
        }
    }

    fn closed(&self, sender: Option<Sender>) -> AppendError {
        AppendError::Closed {
            tail: self.tail(),
            numbers: sender.map(Sender::numbers),
            reason: self
                .head
                .closed
                .as_ref()
                .and_then(|closed| closed.reason.clone()),
        }
    }

    const fn tail(&self) -> u64 {
        self.head.inline.len() as u64
    }

    fn sender(&self, mark: ProducerMark) -> Sender {
        let mut producers = self.head.producers.iter();
        let known = producers.find(|state| state.last.id == mark.id).copied();
        let standing = standing(known.as_ref(), &mark);
        Sender {
            mark,
            known,
            standing,
        }
    }

    /// Returns the result of an append that was applied before. Refuses fenced producers first, and
    /// then other appends to a closed stream.
    fn done_before(
        &self,
        append: &Append,
        sender: Option<Sender>,
    ) -> Result<Option<Appended>, AppendError> {
        let mark = sender.map(|sender| sender.mark);
        let done = |closed, producer| Appended {
            tail: self.tail(),
            closed,
            fresh: false,
            producer,
        };
        if let Some(Sender {
            mark,
            standing: ProducerStatus::Fenced { current },
            ..
        }) = sender
        {
            let received = mark.epoch;
            return Err(AppendError::Fenced { current, received });
        }
        if let Some(closed) = &self.head.closed {
            let same = mark.is_some() && closed.by == mark;
            // A close with producer fields is another append of that producer, which is too late.
            let close_only = append.close && append.payload.is_none() && mark.is_none();
            if !same && !close_only {
                return Err(self.closed(sender));
            }
            let known = sender.filter(|_| same).and_then(|sender| sender.known);
            let producer = known.map(|known| (known.last.epoch, known.last.seq));
            return Ok(Some(done(true, producer)));
        }
        Ok(match sender {
            Some(Sender {
                mark,
                standing: ProducerStatus::Duplicate { highest },
                ..
            }) => Some(done(false, Some((mark.epoch, highest)))),
            _ => None,
        })
    }

    /// Checks by the producer's numbers that no append is missing before this one.
    fn check_producer(&self, sender: Option<Sender>) -> Result<(), AppendError> {
        match sender.map(|sender| (sender.standing, sender.mark.seq)) {
            Some((ProducerStatus::BadStart, _)) => Err(AppendError::EpochStart),
            Some((ProducerStatus::Gap { expected }, received)) => Err(AppendError::Gap {
                expected,
                received,
                may_be_lost: self.timeline > 0,
            }),
            _ => Ok(()),
        }
    }

    /// Checks that the tail is the expected one. An earlier append of this batch that grew the stream
    /// moved the tail to a place that is not known yet, and no writer can expect it.
    fn check_tail(&self, expected: Option<Expected>) -> Result<(), AppendError> {
        let holds = match expected {
            None => true,
            Some(Expected::Tail(expected)) => !self.grew && self.head.tail() == expected,
            Some(Expected::Nothing) => false,
        };
        match holds {
            true => Ok(()),
            false => Err(AppendError::OtherTail { tail: self.tail() }),
        }
    }

    /// Checks that `Stream-Seq` grows.
    fn check_seq(&self, append: &Append) -> Result<(), AppendError> {
        match (&self.head.seq, &append.seq) {
            (Some(last), Some(received)) if received <= last => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Err(AppendError::Seq {
                    last: text(last),
                    received: text(received),
                })
            }
            _ => Ok(()),
        }
    }

    fn producer_slot(
        &self,
        id: &ProducerId,
        limits: &AppendLimits,
        now_ms: u64,
    ) -> Result<usize, AppendError> {
        let (most, idle_ms) = (limits.producers, limits.producer_idle_ms);
        place(&self.head.producers, id, most, idle_ms, now_ms)
            .map_err(|NoRoom { wait_ms }| AppendError::TooManyProducers { wait_ms })
    }

    /// Returns the size of the stream with `payload`, if the stream has room for it.
    fn grown(&self, payload: Option<&Payload>, limits: &AppendLimits) -> Result<u64, AppendError> {
        let bytes = payload.map_or(0, |payload| payload.bytes().len() as u64);
        let total = self.head.bytes.saturating_add(bytes);
        let is_large = limits.stream_bytes != 0 && total > limits.stream_bytes;
        match bytes > 0 && (is_large || !self.head.has_room(bytes, self.timeline)) {
            true => Err(AppendError::StreamFull),
            false => Ok(total),
        }
    }

    fn note_producer(&mut self, slot: usize, last: ProducerMark, used_ms: u64) {
        let state = ProducerState { last, used_ms };
        match self.head.producers.get_mut(slot) {
            Some(place) => *place = state,
            None => self.head.producers.push(state),
        }
    }

    fn add(&mut self, payload: Option<&Payload>, total: u64) {
        let Some(payload) = payload else {
            return;
        };
        let start = self.head.inline.len();
        if let Payload::Messages { ends, .. } = payload {
            let ends = ends.iter().map(|end| start.saturating_add(*end));
            self.ends.extend(ends);
        }
        self.head.inline.extend_from_slice(payload.bytes());
        self.head.bytes = total;
        self.grew |= !payload.bytes().is_empty();
    }

    /// Returns the body if the stream accepts it: checks the content type, and then JSON.
    fn payload<'a>(&self, append: &'a Append) -> Result<Option<&'a Payload>, AppendError> {
        let Some(payload) = &append.payload else {
            return Ok(None);
        };
        let expected = &self.head.content_type;
        match &append.content_type {
            Some(actual) if actual.matches(expected) => {}
            actual => {
                let actual = actual.as_ref().map_or("none", ContentType::as_str);
                return Err(AppendError::ContentType {
                    expected: expected.as_str().to_owned(),
                    actual: actual.to_owned(),
                });
            }
        }
        payload
            .as_ref()
            .map(Some)
            .map_err(|error| AppendError::Messages(error.clone()))
    }

    /// Ends the batch as this commit. Returns the head to swap in, with the chunks and blocks to
    /// store first. `budget` is the largest size of the inline tail; `next_id` draws chunk ids.
    #[must_use]
    pub fn settle(
        mut self,
        commit: CommitId,
        budget: usize,
        next_id: impl FnMut() -> u64,
    ) -> Settled {
        self.head.version = self.head.version.saturating_add(1);
        let version = self.head.version;
        self.head.ring.push(commit.id, version, commit.contended);
        let ends = self
            .head
            .content_type
            .is_json()
            .then_some(self.ends.as_slice());
        let growth = Growth {
            kept: self.kept,
            grew: self.grew,
            ends,
            budget,
            timeline: self.timeline,
        };
        settle(self.head, &growth, next_id)
    }

    /// Ends a batch that changed nothing. The result only serves to compute positions.
    #[must_use]
    pub fn unchanged(self) -> Settled {
        let growth = Growth {
            kept: self.kept,
            grew: false,
            ends: None,
            budget: usize::MAX,
            timeline: self.timeline,
        };
        settle(self.head, &growth, || 0)
    }
}

#[cfg(test)]
#[path = "append_tests/mod.rs"]
mod tests;
