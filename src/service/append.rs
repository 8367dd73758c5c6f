//! Appends and closes (sections 5.2, 5.3): one swap of the head commits all waiting requests.
//!
//! # Why no append is lost or applied twice
//!
//! Each attempt draws a commit id. The swap puts the id into the head's *ring*, beside the version
//! that the swap makes. The ring has the last 64 commits, and more where writers collide. A
//! confirmed swap is done. After any other result the writer reads the head again with a new
//! handle. The next swap will be conditioned on the bytes of this read, and these bytes decide
//! ([`Fate`]):
//!
//! 1. Our id is in the ring: the swap was applied. The requests get the replies made with it.
//! 2. The version is still our base: the swap may still land, since stores answer late. The writer
//!    sends identical bytes again, with the same chunks. If one of the two lands, the other no
//!    longer meets its base. Nothing is removed.
//! 3. The version moved on, our id is not in the ring, and the ring reaches back to our base: the
//!    swap can never land, because its base is gone. Only now the writer removes our chunks and
//!    begins anew.
//!    A store may also report for certain that a swap failed (`kv_final_swaps`). Then the case is 3
//!    at once.
//! 4. The ring does not reach back to our base, or the deadline ends in case 2: the outcome is
//!    unknown, and the client gets `OUTCOME_UNKNOWN`. With a producer its retry finds out.
//!
//! [`AppendAttempt`] has everything that makes the same bytes again: id, base, time, chunk ids, the
//! place of each request. The driver keeps the attempt while it waits, so this file has no state.

use super::attempt::{AppendAttempt, Pending};
use super::core::Core;
use super::env::{Env, StoreError, SwapError};
use super::fault::Fault;
use super::heads::Lookup;
use super::progress::News;
use super::reply::Reply;
use super::{heads, lapse, problems, report};
use crate::keys::Slot;
use crate::keys::head::Record;
use crate::protocol::problem::Problem;
use crate::protocol::{headers, offset};
use crate::stream::{
    Append, AppendError, AppendLimits, Appended, Batch, CommitId, Head, Incarnation, Lease,
    Presence, Settled,
};

/// An append, with the parts of the request that its answer needs.
pub(super) struct Call<'a> {
    pub(super) append: Append,
    /// Raw path and query, for problem documents.
    pub(super) instance: &'a str,
}

/// Result of one step of appends.
pub(super) enum AppendResult {
    /// One reply for each request, and what follows from the commit.
    Replies(Vec<Reply>, Consequences),
    /// Retry after this many milliseconds, passing this attempt back.
    Again(u64, AppendAttempt),
}

/// Work that follows from a commit.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    /// News for linked subscriptions, if there are any.
    pub(super) news: Option<News>,
    /// A lease that background work does not know yet, or that may lapse earlier than it knows.
    pub(super) lease: Option<LeaseNote>,
}

/// A note for the registry: when the lease of a stream lapses.
#[derive(Debug)]
pub(super) struct LeaseNote {
    /// Leaf of the registry that holds the name.
    pub(super) leaf: u32,
    /// The life of the name.
    pub(super) incarnation: Incarnation,
    /// When the lease lapses, milliseconds since 1970.
    pub(super) lapses_ms: u64,
}

/// Swaps sent in one step before the driver has to wait.
const SWAPS: u32 = 3;

/// Effect of the appends on a head.
enum Prepared {
    /// No commit is needed; the replies are final.
    Replies(Vec<Reply>),
    /// Swap in this head; the replies are in the attempt.
    Swap(Vec<u8>, Consequences),
}

/// Fate of an unconfirmed swap, judged by the current record.
enum Fate {
    Applied,
    MayLand,
    Lost,
    Unknown,
}

fn fate(pending: &Pending, record: &Record) -> Fate {
    if record.version() == pending.base {
        return Fate::MayLand;
    }
    match record {
        Record::Live(head) if head.ring.contains(pending.id) => Fate::Applied,
        Record::Live(head) if head.ring.reaches(pending.base, head.born) => Fate::Lost,
        // A deletion replaced the very head that the swap was conditioned on, and a new life may
        // have followed.
        Record::Live(head) if head.born == pending.base.saturating_add(2) => Fate::Lost,
        Record::Tombstone(tombstone) if tombstone.version == pending.base.saturating_add(1) => {
            Fate::Lost
        }
        Record::Live(_) | Record::Tombstone(_) => Fate::Unknown,
    }
}

/// Appends to the stream `name`. All `calls` are for this stream.
pub(super) fn append<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    calls: &[Call<'_>],
    attempt: AppendAttempt,
) -> AppendResult {
    let mut writer = Writer {
        core,
        name,
        slot,
        calls,
        attempt,
    };
    match writer.run() {
        Ok(outcome) => outcome,
        Err(fault) => writer.fail(&fault),
    }
}

struct Writer<'a, E> {
    core: &'a Core<E>,
    name: &'a str,
    slot: &'a Slot,
    calls: &'a [Call<'a>],
    attempt: AppendAttempt,
}

impl<E: Env> Writer<'_, E> {
    fn run(&mut self) -> Result<AppendResult, Fault> {
        let pending = self.attempt.pending.as_ref();
        if pending.is_some_and(|pending| pending.replies.len() != self.calls.len()) {
            return Err(Fault::Unknown(
                "some requests of the commit are missing".to_owned(),
            ));
        }
        let (gate, mut cas, mut envelope) = match heads::find(self.core, self.slot)? {
            Lookup::Found {
                gate,
                cas,
                envelope,
            } => (gate, cas, envelope),
            Lookup::Missing { .. } => return Ok(self.refuse(&problems::not_found(self.name))),
        };
        let key = self.slot.key(gate);
        for sent in 0..=SWAPS {
            let record = heads::decode(self.slot, gate, &envelope)?;
            if let Some(pending) = &self.attempt.pending {
                match fate(pending, &record) {
                    Fate::Applied => {
                        let after = match &record {
                            Record::Live(head) => self.consequences(head, pending.sets_lease),
                            Record::Tombstone(_) => Consequences::default(),
                        };
                        return Ok(AppendResult::Replies(pending.replies.clone(), after));
                    }
                    // On another timeline the same version may belong to another history.
                    _ if pending.timeline != self.core.config.timeline => {
                        let why = "the store went back to an older state".to_owned();
                        return Err(Fault::Unknown(why));
                    }
                    Fate::MayLand => {}
                    Fate::Lost => self.drop_pending(),
                    Fate::Unknown => {
                        return Err(Fault::Unknown(
                            "the stream's head moved past the commits that it remembers".to_owned(),
                        ));
                    }
                }
            }
            let head = match record {
                Record::Live(head) if head.name == self.name => head,
                // Another name with the same hash: the slot has room for one of them.
                Record::Live(_) | Record::Tombstone(_) => {
                    return Ok(self.refuse(&problems::not_found(self.name)));
                }
            };
            if sent == SWAPS {
                break;
            }
            // Where instances share nothing, the store's lock may be unfair. Many commits of one
            // writer may then pass another writer without a collision.
            let guarded = self.core.config.kv_guarded_create;
            let contended = sent > 0 || self.attempt.tries > 0 || !guarded;
            let (bytes, after) = match self.prepare(*head, contended)? {
                Prepared::Replies(replies) => {
                    return Ok(AppendResult::Replies(replies, Consequences::default()));
                }
                Prepared::Swap(bytes, after) => (bytes, after),
            };
            let failed = match self.core.env.swap(cas, &bytes) {
                Ok(()) => return Ok(AppendResult::Replies(self.take_replies(), after)),
                Err(SwapError::Store(error)) if error.refuses() => return Err(self.refused(error)),
                Err(SwapError::Failed(cas)) => {
                    self.note_failed();
                    Some(cas)
                }
                Err(SwapError::Store(_)) => None,
            };
            let is_unsure = self.attempt.pending.is_some();
            if is_unsure && sent == 0 && self.attempt.tries == 0 && self.is_applied(gate)? {
                return Ok(AppendResult::Replies(self.take_replies(), after));
            }
            cas = match failed {
                Some(cas) => cas,
                None => self.core.env.cas(&key)?,
            };
            envelope = match self.core.env.current(&cas)? {
                Some(bytes) => heads::open(&key, bytes)?,
                None => return Err(Fault::Unknown("the stream's head is gone".to_owned())),
            };
        }
        self.again()
    }

    /// Notes that the store reported the swap as failed. Where that is certain, the next try begins
    /// anew, however many commits of others have passed. A swap that was sent before may have been
    /// applied by the first one.
    fn note_failed(&mut self) {
        let pending = self.attempt.pending.as_ref();
        if self.core.config.kv_final_swaps && pending.is_some_and(|pending| !pending.resent) {
            self.drop_pending();
        }
    }

    /// Whether a plain read finds the pending swap applied. On stores that report every swap as
    /// failed this is the usual case, and a handle would cost more calls. `false` proves nothing:
    /// the next swap is conditioned on another read.
    fn is_applied(&self, gate: u32) -> Result<bool, Fault> {
        let key = self.slot.key(gate);
        let Some(bytes) = self.core.env.get(&key)? else {
            return Ok(false);
        };
        let record = heads::decode(self.slot, gate, &heads::open(&key, bytes)?)?;
        let pending = self.attempt.pending.as_ref();
        Ok(pending.is_some_and(|pending| matches!(fate(pending, &record), Fate::Applied)))
    }

    /// Applies the appends to `head` and stores the chunks that the new head names.
    fn prepare(&mut self, head: Head, contended: bool) -> Result<Prepared, Fault> {
        let config = &self.core.config;
        let resend = self.attempt.pending.take();
        let clock = match &resend {
            Some(pending) => pending.clock_ms,
            None => self.core.env.now_ms(),
        };
        let problem = match head.presence(head.now_ms(clock)) {
            Presence::Here => None,
            Presence::Absent => Some(problems::not_found(self.name)),
            Presence::Gone => Some(problems::gone(self.name)),
            Presence::Expired => Some(problems::expired()),
        };
        if let Some(problem) = problem {
            return Ok(Prepared::Replies(self.answer_all(&problem)));
        }
        let limits = AppendLimits {
            stream_bytes: config.max_stream_bytes,
            producers: config.max_producers,
            producer_idle_ms: config.producer_idle_secs.saturating_mul(1000),
        };
        let (base, incarnation) = (head.version, head.incarnation);
        let lease = head.lease;
        let mut batch = Batch::new(head, config.timeline);
        batch.lapse(clock, lapse::rules(self.core));
        let results: Vec<Result<Appended, AppendError>> = self
            .calls
            .iter()
            .map(|call| batch.append(&call.append, &limits, clock))
            .collect();
        if !batch.changed() {
            let settled = batch.unchanged();
            return Ok(Prepared::Replies(
                self.replies(&settled, &results, clock).collect(),
            ));
        }
        let (id, budget, contended) = match &resend {
            Some(pending) => (pending.id, pending.budget, pending.contended),
            None => (self.core.env.random(), config.inline_tail_bytes, contended),
        };
        let mut known = resend.iter().flat_map(|pending| pending.chunks.clone());
        let settled = batch.settle(CommitId { id, contended }, budget, || {
            known.next().unwrap_or_else(|| self.core.env.random())
        });
        let replies = self.replies(&settled, &results, clock).collect();
        let chunks: Vec<u64> = settled.chunks.iter().map(|chunk| chunk.id).collect();
        let resent = resend.is_some();
        let secs = |lease: Option<Lease>| lease.map_or(u64::MAX, |lease| lease.secs);
        let sets_lease = secs(settled.head.lease) < secs(lease);
        let pending = Pending {
            sets_lease,
            id,
            base,
            incarnation,
            clock_ms: clock,
            budget,
            timeline: config.timeline,
            chunks,
            replies,
            resent,
            contended,
        };
        let stored = match resend {
            // The chunks were stored before the first swap was sent.
            Some(_) => Ok(()),
            None => heads::store(self.core, &settled),
        };
        if let Err(fault) = stored {
            heads::delete_chunks(self.core, incarnation, &pending.chunks);
            return Err(fault);
        }
        self.attempt.pending = Some(pending);
        let after = self.consequences(&settled.head, sets_lease);
        let record = Record::Live(Box::new(settled.head));
        Ok(Prepared::Swap(record.seal(), after))
    }

    fn replies<'b>(
        &'b self,
        settled: &'b Settled,
        results: &'b [Result<Appended, AppendError>],
        clock: u64,
    ) -> impl Iterator<Item = Reply> + 'b {
        self.calls
            .iter()
            .zip(results)
            .map(move |(call, result)| match result {
                Ok(appended) => reply(settled, appended, &call.append, clock),
                Err(error) => {
                    let tail = match error {
                        AppendError::Closed { tail, .. } | AppendError::OtherTail { tail } => {
                            offset::format(settled.position(*tail))
                        }
                        _ => String::new(),
                    };
                    Reply::problem(&problems::append(error, &tail), call.instance)
                }
            })
    }

    fn take_replies(&mut self) -> Vec<Reply> {
        self.attempt
            .pending
            .take()
            .map(|pending| pending.replies)
            .unwrap_or_default()
    }

    fn refuse(&self, problem: &Problem) -> AppendResult {
        match self.attempt.pending {
            // The stream is gone, and so is the ring that would show the outcome.
            Some(_) => self.all(&Fault::Unknown("the stream is gone".to_owned())),
            None => AppendResult::Replies(self.answer_all(problem), Consequences::default()),
        }
    }

    fn answer_all(&self, problem: &Problem) -> Vec<Reply> {
        self.calls
            .iter()
            .map(|call| Reply::problem(problem, call.instance))
            .collect()
    }

    fn all(&self, fault: &Fault) -> AppendResult {
        AppendResult::Replies(
            self.calls
                .iter()
                .map(|call| report::fault(self.core, fault, call.instance))
                .collect(),
            Consequences::default(),
        )
    }

    /// Work that follows from the commit of `head`. `sets_lease`: the commit gave the stream a lease,
    /// or a shorter one.
    fn consequences(&self, head: &Head, sets_lease: bool) -> Consequences {
        let clock = self.core.env.now_ms();
        let lapses = head.lapses_ms(clock, lapse::rules(self.core));
        let lease = lapses.filter(|_| sets_lease).zip(head.leaf);
        Consequences {
            news: (!head.subscribers.is_empty()).then(|| News::of(head, head.subscribers.clone())),
            lease: lease.map(|(lapses_ms, leaf)| LeaseNote {
                leaf,
                incarnation: head.incarnation,
                lapses_ms,
            }),
        }
    }

    /// Removes the chunks of the pending swap, which can never be applied.
    fn drop_pending(&mut self) {
        if let Some(pending) = self.attempt.pending.take() {
            heads::delete_chunks(self.core, pending.incarnation, &pending.chunks);
        }
    }

    /// Handles a store that refuses the head. This swap was not applied, but an earlier swap of the
    /// same bytes may be.
    fn refused(&mut self, error: StoreError) -> Fault {
        if self
            .attempt
            .pending
            .as_ref()
            .is_some_and(|pending| pending.resent)
        {
            return Fault::Unknown(error.to_string());
        }
        self.drop_pending();
        error.into()
    }

    /// Handles a failed step. While the store does not answer, the attempt goes on until its
    /// deadline.
    fn fail(&mut self, fault: &Fault) -> AppendResult {
        match fault {
            Fault::Store(StoreError::Unavailable(_)) => match self.again() {
                Ok(outcome) => outcome,
                Err(Fault::Deadline(_)) => self.all(fault),
                Err(fault) => self.all(&fault),
            },
            _ => self.all(fault),
        }
    }

    /// Leaves the rest to a later step, or gives up.
    fn again(&mut self) -> Result<AppendResult, Fault> {
        let wait = self.core.pause_ms(self.attempt.tries);
        if self.core.env.now_ms().saturating_add(wait) > self.attempt.deadline_ms {
            return Err(match self.attempt.pending {
                Some(_) => {
                    Fault::Unknown("the deadline passed while a swap was under way".to_owned())
                }
                None => Fault::Deadline("other writers won every swap"),
            });
        }
        let mut attempt = std::mem::take(&mut self.attempt);
        attempt.tries = attempt.tries.saturating_add(1);
        Ok(AppendResult::Again(wait, attempt))
    }
}

/// The reply to an append that was accepted.
fn reply(settled: &Settled, appended: &Appended, append: &Append, clock: u64) -> Reply {
    let status = match appended.producer {
        Some(_) if appended.fresh && append.payload.is_some() => 200,
        _ => 204,
    };
    let tail = offset::format(settled.position(appended.tail));
    let closed = settled.head.closed.as_ref().filter(|_| appended.closed);
    let mut reply = Reply::write(status)
        .with(headers::ETAG, format!("\"{tail}\""))
        .with(headers::STREAM_NEXT_OFFSET, tail)
        .closed(closed);
    if append.lease_secs.is_some() {
        reply = reply.lease(settled.head.lease, clock);
    }
    if let Some((epoch, seq)) = appended.producer {
        reply = reply
            .with(headers::PRODUCER_EPOCH, epoch.to_string())
            .with(headers::PRODUCER_SEQ, seq.to_string());
    }
    reply
}
