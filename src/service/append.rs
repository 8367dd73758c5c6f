//! Appends and closes (sections 5.2, 5.3): one swap of the head for all that wait together.
//!
//! # Why none is lost or done twice
//!
//! Each attempt draws a commit id, which the swap puts into the head's *ring* beside the version
//! that it makes; the ring has the last 64, and more where writers collide. A swap that is confirmed is done. After any other the
//! head is read again with a new handle, and the very bytes that the next swap will be conditioned
//! on decide ([`Fate`]):
//!
//! 1. Our id is in the ring: it was applied. The reply that was made with it is given.
//! 2. The version is still the one that we built on: it may land yet, since stores answer late. The
//!    very same bytes are sent again, with the same chunks: whichever of the two lands, the other
//!    one no longer meets its base. Nothing is removed.
//! 3. The version moved on, our id is not there, and the ring reaches back to our base: it can
//!    never land, for its base is gone. Only now our chunks are removed, and we begin anew.
//! 4. The ring does not reach back so far, or the deadline ends in case 2: nobody knows, and the
//!    client is told so (`OUTCOME_UNKNOWN`). With a producer its retry finds out.
//!
//! What an attempt needs to make the same bytes again (id, base, time, chunk ids, the place of each
//! request) is in [`AppendAttempt`], which the driver keeps while it waits: no state is here.

use super::attempt::{AppendAttempt, Pending};
use super::core::Core;
use super::env::{Env, StoreError, SwapError};
use super::fault::Fault;
use super::heads::Place;
use super::progress::News;
use super::reply::Reply;
use super::{heads, problems, report};
use crate::keys::Slot;
use crate::keys::head::Record;
use crate::protocol::problem::Problem;
use crate::protocol::{headers, offset};
use crate::stream::{
    Append, AppendError, AppendLimits, Appended, Batch, CommitId, Head, Presence, Settled,
};

/// An append with what its answer needs of the request.
pub(super) struct Call<'a> {
    pub(super) append: Append,
    /// Raw path and query, for problem documents.
    pub(super) instance: &'a str,
}

/// What a step of appends came to.
pub(super) enum Outcome {
    /// One reply each; what was appended, if anybody is to hear of it.
    Replies(Vec<Reply>, Option<News>),
    /// To be gone on with after so many milliseconds.
    Again(u64, AppendAttempt),
}

/// Swaps sent in one step before the driver is asked to wait.
const SWAPS: u32 = 3;

/// What appends make of a head.
enum Prepared {
    /// Nothing that needs a commit; the replies stand.
    Replies(Vec<Reply>),
    /// This head, to be swapped in; the replies are in the attempt.
    Swap(Vec<u8>, Option<News>),
}

/// What is known of a swap that was not confirmed, from the record as it is now.
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

/// Appends to the stream `name`, which all `calls` are for.
pub(super) fn append<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    calls: &[Call<'_>],
    attempt: AppendAttempt,
) -> Outcome {
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
    fn run(&mut self) -> Result<Outcome, Fault> {
        let pending = self.attempt.pending.as_ref();
        if pending.is_some_and(|pending| pending.replies.len() != self.calls.len()) {
            return Err(Fault::Unknown(
                "a part of the commit's requests is missing".to_owned(),
            ));
        }
        let (gate, mut cas, mut envelope) = match heads::find(self.core, self.slot)? {
            Place::Found {
                gate,
                cas,
                envelope,
            } => (gate, cas, envelope),
            Place::Missing { .. } => return Ok(self.refuse(&problems::not_found(self.name))),
        };
        let key = self.slot.key(gate);
        for sent in 0..=SWAPS {
            let record = heads::decode(self.slot, gate, &envelope)?;
            if let Some(pending) = &self.attempt.pending {
                match fate(pending, &record) {
                    Fate::Applied => {
                        let news = match &record {
                            Record::Live(head) => news(head),
                            Record::Tombstone(_) => None,
                        };
                        return Ok(Outcome::Replies(pending.replies.clone(), news));
                    }
                    // On another timeline the same version may be of another history.
                    _ if pending.timeline != self.core.config.timeline => {
                        let why = "the store went back to an older state".to_owned();
                        return Err(Fault::Unknown(why));
                    }
                    Fate::MayLand => {}
                    Fate::Lost => self.drop_pending(),
                    Fate::Unknown => {
                        return Err(Fault::Unknown("the stream's head moved too far".to_owned()));
                    }
                }
            }
            let head = match record {
                Record::Live(head) if head.name == self.name => head,
                // Another name with the same hash: there is no room for both.
                Record::Live(_) | Record::Tombstone(_) => {
                    return Ok(self.refuse(&problems::not_found(self.name)));
                }
            };
            if sent == SWAPS {
                break;
            }
            // Where instances share nothing, a lock that is not fair lets many commits pass by without
            // one of them meeting another.
            let guarded = self.core.config.kv_guarded_create;
            let contended = sent > 0 || self.attempt.tries > 0 || !guarded;
            let (bytes, news) = match self.prepare(*head, contended)? {
                Prepared::Replies(replies) => return Ok(Outcome::Replies(replies, None)),
                Prepared::Swap(bytes, news) => (bytes, news),
            };
            let failed = match self.core.env.swap(cas, &bytes) {
                Ok(()) => return Ok(Outcome::Replies(self.take_replies(), news)),
                Err(SwapError::Store(error)) if error.refuses() => return Err(self.refused(error)),
                Err(SwapError::Failed(cas)) => Some(cas),
                Err(SwapError::Store(_)) => None,
            };
            if sent == 0 && self.attempt.tries == 0 && self.is_applied(gate)? {
                return Ok(Outcome::Replies(self.take_replies(), news));
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

    /// Whether a plain read finds the pending swap applied. On stores that report every swap as failed
    /// this is the usual case, and a handle would cost more calls. Nothing follows from not finding it:
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

    /// Applies the appends to `head` and stores what the new head names.
    fn prepare(&mut self, head: Head, contended: bool) -> Result<Prepared, Fault> {
        let config = &self.core.config;
        let resend = self.attempt.pending.take();
        let now = match &resend {
            Some(pending) => pending.now_ms,
            None => head.now_ms(self.core.env.now_ms()),
        };
        let problem = match head.presence(now) {
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
        let mut batch = Batch::new(head, config.timeline);
        let results: Vec<Result<Appended, AppendError>> = self
            .calls
            .iter()
            .map(|call| batch.append(&call.append, &limits, now))
            .collect();
        if !batch.changed() {
            let settled = batch.unchanged();
            return Ok(Prepared::Replies(
                self.replies(&settled, &results).collect(),
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
        let replies = self.replies(&settled, &results).collect();
        let chunks: Vec<u64> = settled.chunks.iter().map(|chunk| chunk.id).collect();
        let resent = resend.is_some();
        let pending = Pending {
            id,
            base,
            incarnation,
            now_ms: now,
            budget,
            timeline: config.timeline,
            chunks,
            replies,
            resent,
            contended,
        };
        let stored = match resend {
            // They were there before the first swap was sent.
            Some(_) => Ok(()),
            None => heads::store(self.core, &settled),
        };
        if let Err(fault) = stored {
            heads::delete_chunks(self.core, incarnation, &pending.chunks);
            return Err(fault);
        }
        self.attempt.pending = Some(pending);
        let news = news(&settled.head);
        let record = Record::Live(Box::new(settled.head));
        Ok(Prepared::Swap(record.seal(), news))
    }

    fn replies<'b>(
        &'b self,
        settled: &'b Settled,
        results: &'b [Result<Appended, AppendError>],
    ) -> impl Iterator<Item = Reply> + 'b {
        self.calls
            .iter()
            .zip(results)
            .map(|(call, result)| match result {
                Ok(appended) => reply(settled, appended, call.append.payload.is_some()),
                Err(error) => {
                    let tail = match error {
                        AppendError::Closed { tail } => offset::format(settled.position(*tail)),
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

    fn refuse(&self, problem: &Problem) -> Outcome {
        match self.attempt.pending {
            // The stream it was sent to is gone, and with it the ring that would tell.
            Some(_) => self.all(&Fault::Unknown("the stream is gone".to_owned())),
            None => Outcome::Replies(self.answer_all(problem), None),
        }
    }

    fn answer_all(&self, problem: &Problem) -> Vec<Reply> {
        self.calls
            .iter()
            .map(|call| Reply::problem(problem, call.instance))
            .collect()
    }

    fn all(&self, fault: &Fault) -> Outcome {
        Outcome::Replies(
            self.calls
                .iter()
                .map(|call| report::fault(self.core, fault, call.instance))
                .collect(),
            None,
        )
    }

    /// The pending swap can never be applied: its chunks are garbage.
    fn drop_pending(&mut self) {
        if let Some(pending) = self.attempt.pending.take() {
            heads::delete_chunks(self.core, pending.incarnation, &pending.chunks);
        }
    }

    /// The store does not take the head. That swap was not applied, but an earlier one of the same
    /// bytes may be.
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

    /// The step failed. While the store does not answer, the attempt goes on until its deadline.
    fn fail(&mut self, fault: &Fault) -> Outcome {
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
    fn again(&mut self) -> Result<Outcome, Fault> {
        let wait = self.core.pause_ms(self.attempt.tries);
        if self.core.env.now_ms().saturating_add(wait) > self.attempt.deadline_ms {
            return Err(match self.attempt.pending {
                Some(_) => Fault::Unknown("the deadline ended with a swap under way".to_owned()),
                None => Fault::Deadline("other writers were faster"),
            });
        }
        let mut attempt = std::mem::take(&mut self.attempt);
        attempt.tries = attempt.tries.saturating_add(1);
        Ok(Outcome::Again(wait, attempt))
    }
}

/// What there is to be told of a stream: nothing, if nobody is linked, or nothing is in it.
fn news(head: &Head) -> Option<News> {
    (!head.subscribers.is_empty()).then(|| News::of(head, head.subscribers.clone()))
}

/// The reply to an append that was accepted.
fn reply(settled: &Settled, appended: &Appended, has_body: bool) -> Reply {
    let status = match appended.producer {
        Some(_) if appended.fresh && has_body => 200,
        _ => 204,
    };
    let tail = offset::format(settled.position(appended.tail));
    let mut reply = Reply::write(status)
        .with(headers::STREAM_NEXT_OFFSET, tail)
        .closed(appended.closed);
    if let Some((epoch, seq)) = appended.producer {
        reply = reply
            .with(headers::PRODUCER_EPOCH, epoch.to_string())
            .with(headers::PRODUCER_SEQ, seq.to_string());
    }
    reply
}
