//! Creation of streams (section 5.1), and of forks together with `fork/create.rs`.

use super::putter::{Call, Done, Putter};
use crate::keys::head::Record;
use crate::keys::registry::Entry;
use crate::keys::{Envelope, NameHash, Slot};
use crate::limits::SEGMENTS;
use crate::protocol::{headers, offset};
use crate::service::attempt::CreateAttempt;
use crate::service::core::Core;
use crate::service::ending::Ended;
use crate::service::env::{Env, StoreError, SwapError};
use crate::service::fault::Fault;
use crate::service::heads::Lookup;
use crate::service::progress::Election;
use crate::service::records::election::{Candidate, Step};
use crate::service::records::names;
use crate::service::records::update::Updated;
use crate::service::reply::Reply;
use crate::service::{ending, fork, heads, lapse, problems, report};
use crate::stream::{AppendError, Birth, Head, Settled, Tombstone, begin_fork, create};

/// Result of one creation step.
pub(in crate::service) enum CreateResult {
    Reply(Reply),
    Again(u64, Box<CreateAttempt>),
}

/// Reads of the head in one step.
pub(in crate::service) const LOOKS: usize = 8;

/// Creates the stream of `call`, or finds that it exists.
pub(in crate::service) fn put<E: Env>(
    core: &Core<E>,
    slot: &Slot,
    call: &Call<'_>,
    attempt: CreateAttempt,
) -> CreateResult {
    let hash = NameHash::of(call.name);
    let mut putter = Putter {
        core,
        slot,
        call,
        hash,
        attempt: Box::new(attempt),
        create: call.create.clone(),
        payload: call.payload.clone(),
        point: None,
    };
    match putter.step() {
        Ok(Done::Reply(reply)) => CreateResult::Reply(reply),
        Ok(Done::Wait(ms)) => putter.again(ms),
        Err(Fault::Store(StoreError::Unavailable(_))) if putter.unsure() => {
            let wait = core.pause_ms(putter.attempt.tries);
            putter.again(wait)
        }
        Err(Fault::Store(error)) if error.refuses() && putter.unsure() => {
            let unknown = Fault::Unknown(error.to_string());
            CreateResult::Reply(report::fault(core, &unknown, call.instance))
        }
        Err(fault) => {
            if !putter.unsure() {
                fork::withdraw(&mut putter);
            }
            CreateResult::Reply(report::fault(core, &fault, call.instance))
        }
    }
}

impl<E: Env> Putter<'_, E> {
    fn step(&mut self) -> Result<Done, Fault> {
        if self.attempt.timeline != self.core.config.timeline {
            // Everything found and written so far may belong to another history.
            let why = "the store went back to an older state".to_owned();
            return Err(Fault::Unknown(why));
        }
        if let Some(refused) = fork::prepare(self)? {
            return Ok(refused);
        }
        for _ in 0..LOOKS {
            let place = heads::find(self.core, self.slot)?;
            let done = match place {
                Lookup::Missing { gate } => self.create(gate)?,
                Lookup::Found {
                    gate,
                    cas,
                    envelope,
                } => {
                    let record = heads::decode(self.slot, gate, &envelope)?;
                    match record {
                        Record::Live(head) => self.meet(cas, &head)?,
                        Record::Tombstone(tombstone) => self.replace(cas, &tombstone)?,
                    }
                }
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Ok(Done::Wait(self.core.pause_ms(self.attempt.tries)))
    }

    /// Handles a live head under the name.
    fn meet(&mut self, cas: E::Cas, head: &Head) -> Result<Option<Done>, Fault> {
        if head.is_pending() {
            drop(cas);
            return fork::meet_pending(self, head);
        }
        if head.incarnation == self.attempt.incarnation {
            fork::tidy(self);
            return Ok(Some(Done::Reply(self.was_created(head))));
        }
        let now = head.now_ms(self.core.env.now_ms());
        let same = head.name == self.call.name;
        if same && head.is_expired(now) && !head.forks.deleted {
            let hash = self.hash;
            let ended =
                ending::end_life(self.core, &hash, cas, head, now, &mut self.attempt.shared)?;
            return match ended {
                Ended::Done | Ended::Hidden | Ended::Look => Ok(None),
                Ended::Wait(ms) => Ok(Some(Done::Wait(ms))),
            };
        }
        if self.may_have_been(head) {
            return Err(over_again());
        }
        let clock = self.core.env.now_ms();
        let mut settled = None;
        if same && lapse::is_due(self.core, head, clock) {
            drop(cas);
            settled = Some(lapse::settle(self.core, self.slot, head.clone(), clock));
        }
        let head = settled.as_ref().unwrap_or(head);
        fork::withdraw(self);
        if same && head.forks.deleted {
            let problem = problems::path_blocked(self.call.name);
            return Ok(Some(Done::Reply(Reply::problem(
                &problem,
                self.call.instance,
            ))));
        }
        let found = same.then(|| self.found(head)).flatten();
        let reply = found.unwrap_or_else(|| {
            let problem = problems::already_exists()
                .with_field(headers::STREAM_NEXT_OFFSET, offset::format(head.tail()));
            // No Stream-Closed field: clients take it for an append that came too late.
            Reply::problem(&problem, self.call.instance)
        });
        Ok(Some(Done::Reply(reply)))
    }

    /// Refuses a stream that is too large. Checked only where no stream exists yet.
    fn too_large(&self) -> Option<Done> {
        let most = self.core.config.max_stream_bytes;
        let bytes = self.payload.bytes().len() as u64;
        (most != 0 && bytes > most).then(|| self.full())
    }

    /// Refuses a stream if the lives of the name have used up all segment numbers.
    fn overflows(&mut self, settled: &Settled) -> Option<Done> {
        let over = settled.head.open_segment() >= SEGMENTS;
        over.then(|| {
            fork::withdraw(self);
            self.full()
        })
    }

    fn full(&self) -> Done {
        let problem = problems::append(&AppendError::StreamFull, "");
        Done::Reply(Reply::problem(&problem, self.call.instance))
    }

    /// Creates the head behind `gate`. No gate up to this one has a record.
    fn create(&mut self, gate: u32) -> Result<Option<Done>, Fault> {
        if let Some(refused) = self.too_large() {
            return Ok(Some(refused));
        }
        if self.attempt.election.gate < gate {
            self.attempt.election = Election::at(gate);
        }
        if let Some(wait) = self.enter()? {
            return Ok(Some(wait));
        }
        if let Some(done) = fork::join(self)? {
            return Ok(Some(done));
        }
        let settled = self.settle(None);
        if let Some(refused) = self.overflows(&settled) {
            return Ok(Some(refused));
        }
        self.store(&settled)?;
        let created = self.created(&settled.head);
        self.attempt.reply = Some(created.clone());
        let record = Record::Live(Box::new(settled.head));
        let incarnation = self.attempt.incarnation;
        let is_ours = |envelope: &Envelope| match Record::decode(&envelope.body, envelope.version) {
            Ok(Record::Live(head)) => head.incarnation == incarnation,
            Ok(Record::Tombstone(tombstone)) => tombstone.incarnation == incarnation,
            Err(_) => false,
        };
        let candidate = Candidate {
            core: self.core,
            slot: self.slot,
            version: record.version(),
            body: &record.encode(),
            is_ours: &is_ours,
        };
        match candidate.step(&mut self.attempt.election)? {
            Step::Created if self.wrote_fork() => Ok(None),
            Step::Created => Ok(Some(Done::Reply(created))),
            Step::Taken => Ok(None),
            Step::Wait(ms) => Ok(Some(Done::Wait(ms))),
        }
    }

    /// Replaces the tombstone of an earlier stream.
    fn replace(&mut self, cas: E::Cas, tombstone: &Tombstone) -> Result<Option<Done>, Fault> {
        if tombstone.incarnation == self.attempt.incarnation {
            if self.call.fork.is_some() {
                let why = "the fork was abandoned or already deleted";
                return Err(Fault::Unknown(why.to_owned()));
            }
            // This attempt created the stream, and another caller deleted it before this step
            // looked.
            let settled = self.settle(None);
            return Ok(Some(Done::Reply(self.was_created(&settled.head))));
        }
        // A tombstone of the same life with another version only lost its debt. The swap that was
        // sent can't be applied any more, so this step builds a new one.
        let other = match self.attempt.sent {
            Some((life, _)) => life != tombstone.incarnation,
            None => self.unsure(),
        };
        if other {
            return Err(over_again());
        }
        if !tombstone.name.is_empty() && tombstone.name != self.call.name {
            return Ok(Some(Done::Reply(Reply::problem(
                &problems::already_exists(),
                self.call.instance,
            ))));
        }
        if let Some(refused) = self.too_large() {
            return Ok(Some(refused));
        }
        if let Some(source) = tombstone.source {
            drop(cas);
            let last = heads::link(&self.hash, tombstone.incarnation);
            let released = fork::release(self.core, last, source, &mut self.attempt.shared)?;
            return Ok(match released {
                Updated::Done(()) => None,
                Updated::Wait(ms) => Some(Done::Wait(ms)),
            });
        }
        if let Some(owed) = &tombstone.owes {
            let moved = ending::move_debt(
                self.core,
                &self.hash,
                tombstone.incarnation,
                owed,
                &mut self.attempt.shared,
            )?;
            if let Updated::Wait(ms) = moved {
                return Ok(Some(Done::Wait(ms)));
            }
        }
        if let Some(wait) = self.enter()? {
            return Ok(Some(wait));
        }
        if let Some(done) = fork::join(self)? {
            return Ok(Some(done));
        }
        let settled = self.settle(Some(tombstone));
        if let Some(refused) = self.overflows(&settled) {
            return Ok(Some(refused));
        }
        self.store(&settled)?;
        let created = self.created(&settled.head);
        self.attempt.reply = Some(created.clone());
        let record = Record::Live(Box::new(settled.head));
        match self.core.env.swap(cas, &record.seal()) {
            Ok(()) if self.wrote_fork() => Ok(None),
            Ok(()) => Ok(Some(Done::Reply(created))),
            Err(SwapError::Store(error)) if error.refuses() => Err(error.into()),
            Err(SwapError::Failed(_) | SwapError::Store(_)) => {
                self.attempt.sent = Some((tombstone.incarnation, tombstone.version));
                Ok(None)
            }
        }
    }

    /// When background work must first look at the stream: it may expire, or its writer's lease may
    /// lapse.
    fn due_ms(&self) -> Option<u64> {
        let now_ms = self.attempt.now_ms;
        let lease = self.create.lease(now_ms);
        let lapses = lease.map(|lease| lease.lapses_ms(now_ms, lapse::rules(self.core)));
        let expires = self.create.expiry.ends_ms(now_ms);
        [lapses, expires].into_iter().flatten().min()
    }

    /// Enters the name into the registry, once.
    fn enter(&mut self) -> Result<Option<Done>, Fault> {
        if !self.core.config.registry || self.attempt.leaf.is_some() {
            return Ok(None);
        }
        let entry = Entry {
            name: self.call.name.to_owned(),
            incarnation: self.attempt.incarnation,
            since_ms: self.attempt.now_ms,
            due_ms: self.due_ms(),
        };
        match names::enter(self.core, &self.hash, &entry, &mut self.attempt.shared)? {
            Updated::Done(leaf) => {
                self.attempt.leaf = Some(leaf);
                Ok(None)
            }
            Updated::Wait(ms) => Ok(Some(Done::Wait(ms))),
        }
    }

    /// The head this attempt creates; always the same for the same tombstone.
    fn settle(&mut self, after: Option<&Tombstone>) -> Settled {
        let birth = Birth {
            incarnation: self.attempt.incarnation,
            leaf: self.attempt.leaf,
            now_ms: self.attempt.now_ms,
            timeline: self.attempt.timeline,
        };
        let mut known = self.attempt.chunks.clone().into_iter();
        let mut drawn = Vec::new();
        let payload = self.payload.clone();
        let budget = self.attempt.budget;
        let core = self.core;
        let next_id = || {
            let id = known.next().unwrap_or_else(|| core.env.random());
            drawn.push(id);
            id
        };
        let (name, asked) = (self.call.name, &self.create);
        let settled = match fork::begun(self) {
            Some(branch) => begin_fork(
                branch,
                asked,
                payload,
                after,
                birth.timeline,
                budget,
                next_id,
            ),
            None => create(name, asked, payload, birth, after, budget, next_id),
        };
        self.attempt.chunks = drawn;
        settled
    }

    /// Stores the chunks, once.
    fn store(&mut self, settled: &Settled) -> Result<(), Fault> {
        if !self.attempt.stored {
            heads::store(self.core, settled)?;
            self.attempt.stored = true;
        }
        Ok(())
    }

    /// Leaves the rest to a later step, or gives up. Waiting for another creator extends the
    /// deadline.
    fn again(mut self, wait_ms: u64) -> CreateResult {
        let unsure = self.unsure();
        let attempt = &mut self.attempt;
        attempt.tries = attempt.tries.saturating_add(1);
        let shared = attempt.shared.election.extra_ms();
        let extra = attempt.election.extra_ms().max(shared);
        let now = self.core.env.now_ms().saturating_add(wait_ms);
        if now <= attempt.deadline_ms.saturating_add(extra) {
            return CreateResult::Again(wait_ms, self.attempt);
        }
        let fault = match unsure {
            true => Fault::Unknown("the deadline passed while a creation was under way".to_owned()),
            false => {
                fork::withdraw(&mut self);
                Fault::Deadline("another request is creating the stream, or its source is busy")
            }
        };
        CreateResult::Reply(report::fault(self.core, &fault, self.call.instance))
    }
}

fn over_again() -> Fault {
    Fault::Unknown("the name was created and deleted again".to_owned())
}
