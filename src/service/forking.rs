//! Creation of forks (section 4.2): what a `PUT` with `Stream-Forked-From` does before and after
//! what every creation does.
//!
//! Source looked at; to-do entry; *joining* in the source's head, and with it the branch, which is
//! kept in the attempt; the fork's head, pending; *joined*; the fork's head without `pending`;
//! 201. Whoever finds it pending goes on with it, see `fork.rs`.

use super::core::{Fault, Refusal};
use super::create::{Done, Putter};
use super::env::Env;
use super::fork::{Life, Progress, link};
use super::pages::Segments;
use super::problems;
use super::reply::Reply;
use super::update::Updated;
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::limits::FORK_DEPTH;
use crate::protocol::json;
use crate::protocol::name::StreamName;
use crate::protocol::problem::Problem;
use crate::stream::{
    Asked, Birth, ContentType, ForkError, Head, Incarnation, InvalidMessages, Link, Payload,
    Position, Presence, branch, inherited_expiry,
};

/// What a creation forks.
pub(super) struct Fork {
    pub(super) source: StreamName,
    pub(super) asked: Asked,
    /// The type given; else the fork has that of its source.
    pub(super) content_type: Option<ContentType>,
}

/// How far the creation of a fork came, in its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForkAttempt {
    /// The life of the source.
    pub(super) source: Incarnation,
    /// The fork's head without bytes of its own; empty until the source has its step.
    pub(super) branch: Vec<u8>,
    /// Whether the to-do entry may be there.
    pub(super) noted: bool,
    /// Whether a swap that adds the step may be under way.
    pub(super) sent: bool,
    /// Whether the fork's head may be there, pending.
    pub(super) written: bool,
}

impl<E: Env> Putter<'_, E> {
    fn source_hash(&self, fork: &Fork) -> NameHash {
        NameHash::of(fork.source.as_str())
    }

    fn fork_link(&self) -> Link {
        link(&self.hash, self.attempt.incarnation)
    }

    /// The source, once it was looked at.
    pub(super) fn source_link(&self) -> Option<Link> {
        let fork = self.call.fork.as_ref()?;
        let begun = self.attempt.fork.as_ref()?;
        Some(link(&self.source_hash(fork), begun.source))
    }

    fn branch(&self) -> Option<Head> {
        let begun = self.attempt.fork.as_ref()?;
        match Record::decode(&begun.branch, 1) {
            Ok(Record::Live(head)) => Some(*head),
            Ok(Record::Tombstone(_)) | Err(_) => None,
        }
    }

    /// Looks at the source of a fork, and takes over what the fork inherits. The reply, if it
    /// can't be forked so.
    pub(super) fn prepare(&mut self) -> Result<Option<Done>, Fault> {
        let Some(fork) = &self.call.fork else {
            return Ok(None);
        };
        let (looked, source) = match self.branch() {
            Some(branch) => (self.inherit(fork, &branch), None),
            None => {
                let source = self.source(fork)?;
                (self.look(fork, source.as_ref()), source)
            }
        };
        match (looked, source) {
            (Ok(()), _) => Ok(None),
            (Err(Refusal::Problem(problem)), Some(source)) => match self.repeated(fork, &source)? {
                Some(reply) => Ok(Some(self.end(reply))),
                None => Ok(Some(self.refuse(&problem))),
            },
            (Err(Refusal::Problem(problem)), None) => Ok(Some(self.refuse(&problem))),
            (Err(Refusal::Fault(fault)), _) => Err(fault),
        }
    }

    /// The life that the name of the source has now.
    fn source(&self, fork: &Fork) -> Result<Option<Head>, Fault> {
        let slot = self.core.keys.head(&self.source_hash(fork));
        Ok(match self.core.record(&slot)? {
            Some(Record::Live(head)) if head.name == fork.source.as_str() => Some(*head),
            _ => None,
        })
    }

    /// The answer to a creation that is repeated, where its source can't be forked any more: a
    /// deleted source is kept for its forks, with what they inherit.
    fn repeated(&mut self, fork: &Fork, source: &Head) -> Result<Option<Reply>, Fault> {
        let head = match self.core.record(self.slot)? {
            Some(Record::Live(head)) if head.name == self.call.name => *head,
            _ => return Ok(None),
        };
        let now = head.now_ms(self.core.env.now_ms());
        let lineage = head.lineage.as_ref();
        if head.is_pending()
            || head.presence(now) != Presence::Here
            || lineage.is_none_or(|lineage| lineage.source.incarnation != source.incarnation)
            || self.inherit(fork, source).is_err()
        {
            return Ok(None);
        }
        Ok(self.found(&head))
    }

    fn refuse(&mut self, problem: &Problem) -> Done {
        self.end(Reply::problem(problem, self.call.instance))
    }

    /// Ends the creation with this answer.
    fn end(&mut self, reply: Reply) -> Done {
        if !self.unsure() {
            self.withdraw();
        }
        Done::Reply(reply)
    }

    fn look(&mut self, fork: &Fork, source: Option<&Head>) -> Result<(), Refusal> {
        let Some(head) = source else {
            return Err(Refusal::Problem(problems::not_found(fork.source.as_str())));
        };
        self.check(fork, head)?;
        self.inherit(fork, head)?;
        let point = self.core.place(head, fork.asked)?;
        self.point = fork.asked.offset.map(|_| point);
        let source = head.incarnation;
        if self
            .attempt
            .fork
            .as_ref()
            .is_some_and(|begun| begun.source != source)
        {
            // Deleted and created again between two steps: nothing of this attempt is in it.
            self.withdraw();
            self.attempt.fork = None;
        }
        self.attempt.fork.get_or_insert(ForkAttempt {
            source,
            branch: Vec::new(),
            noted: false,
            sent: false,
            written: false,
        });
        Ok(())
    }

    /// Whether `head` may be forked now.
    fn check(&self, fork: &Fork, head: &Head) -> Result<(), Refusal> {
        let name = fork.source.as_str();
        let now = head.now_ms(self.core.env.now_ms());
        let problem = match head.presence(now) {
            Presence::Here => match &fork.content_type {
                Some(actual) if !actual.matches(&head.content_type) => {
                    problems::fork_type(&head.content_type, actual)
                }
                _ if depth(head) >= FORK_DEPTH => problems::fork(ForkError::TooDeep),
                _ => return Ok(()),
            },
            Presence::Absent => problems::not_found(name),
            Presence::Gone => problems::fork_from_tombstone(name),
            Presence::Expired => problems::expired(),
        };
        Err(Refusal::Problem(problem))
    }

    /// Takes over what a fork has from its source unless its creator says otherwise.
    fn inherit(&mut self, fork: &Fork, source: &Head) -> Result<(), Refusal> {
        self.create.expiry = inherited_expiry(self.call.create.expiry, source.expiry);
        if fork.content_type.is_some() {
            return Ok(());
        }
        self.create.content_type = source.content_type.clone();
        let body = self.call.payload.bytes();
        if source.content_type.is_json() && !body.is_empty() {
            let framed = json::frame(body).map_err(|error| {
                let error = InvalidMessages::NotJson(error.to_string());
                Refusal::Problem(problems::messages(&error))
            })?;
            self.payload = Payload::Messages {
                bytes: framed.bytes,
                ends: framed.ends,
            };
        }
        Ok(())
    }

    /// Sees to it that the source has the fork's step, and keeps the branch. Nothing to do where
    /// no fork is asked for.
    pub(super) fn join(&mut self) -> Result<Option<Done>, Fault> {
        let (Some(fork), Some(source)) = (&self.call.fork, self.source_link()) else {
            return Ok(None);
        };
        if self.branch().is_some() {
            return Ok(None);
        }
        if let Some(wait) = self.note_join(source)? {
            return Ok(Some(wait));
        }
        match self.add_step(fork, source) {
            Ok(done) => Ok(done),
            Err(Refusal::Problem(problem)) => Ok(Some(self.refuse(&problem))),
            Err(Refusal::Fault(fault)) => Err(fault),
        }
    }

    fn join_entry(&self, source: Link) -> Entry {
        Entry::Join {
            hash: self.hash,
            incarnation: self.attempt.incarnation,
            source,
            since_ms: self.attempt.now_ms,
        }
    }

    fn note_join(&mut self, source: Link) -> Result<Option<Done>, Fault> {
        let entry = self.join_entry(source);
        let shard = self.hash.shard();
        if let Some(begun) = &mut self.attempt.fork {
            begun.noted = true;
        }
        match self
            .core
            .add_todo(shard, &entry, &mut self.attempt.shared)?
        {
            Updated::Done(()) => Ok(None),
            Updated::Wait(ms) => Ok(Some(Done::Wait(ms))),
        }
    }

    fn add_step(&mut self, fork: &Fork, source: Link) -> Result<Option<Done>, Refusal> {
        for _ in 0..super::create::LOOKS {
            let Life::Head(cas, mut head) = self.core.life(source)? else {
                let name = fork.source.as_str();
                return Err(Refusal::Problem(problems::not_found(name)));
            };
            let fresh = head.forks.step(self.attempt.incarnation).is_none();
            if fresh {
                self.check(fork, &head)?;
            }
            // Before the swap: what can't be forked leaves no trace in the source.
            let branch = self.cut(fork, source, &head)?.encode();
            if fresh {
                // Only now, with the source's handle taken: who bars the name moves the source on
                // after that.
                if self.core.is_barred(self.fork_link())? {
                    return Err(Fault::Deadline("the fork was taken for left over").into());
                }
                if head.forks.join(self.attempt.incarnation).is_err() {
                    return Ok(Some(Done::Wait(self.core.pause_ms(self.attempt.tries))));
                }
                if let Some(begun) = &mut self.attempt.fork {
                    begun.sent = true;
                }
                if !self.core.put(cas, head)? {
                    continue;
                }
            }
            if let Some(begun) = &mut self.attempt.fork {
                begun.branch = branch;
                begun.sent = false;
            }
            return Ok(None);
        }
        Ok(Some(Done::Wait(self.core.pause_ms(self.attempt.tries))))
    }

    fn cut(&self, fork: &Fork, source: Link, head: &Head) -> Result<Record, Refusal> {
        let point = self.point.unwrap_or_else(|| head.tail());
        let birth = Birth {
            incarnation: self.attempt.incarnation,
            leaf: self.attempt.leaf,
            now_ms: self.attempt.now_ms,
        };
        let in_block = point > Position::new(head.first, 0) && point.segment < head.recent_first;
        let block = match in_block {
            true => Some(Segments::new(self.core, head).block_of(point.segment)?),
            false => None,
        };
        let block = block.as_ref().map(|(block, owner)| (block, *owner));
        branch(
            self.call.name,
            birth,
            head,
            source,
            fork.asked,
            point,
            block,
        )
        .map(|head| Record::Live(Box::new(head)))
        .map_err(|error| Refusal::Problem(problems::fork(error)))
    }

    /// The head of the fork, as it was when its source got its step.
    pub(super) fn begun(&self) -> Option<Head> {
        self.call.fork.as_ref().and_then(|_| self.branch())
    }

    /// There is a fork that its source has not counted yet: goes on with it, whoever began it.
    pub(super) fn meet_pending(&mut self, head: &Head) -> Result<Option<Done>, Fault> {
        let Some(lineage) = &head.lineage else {
            return Ok(None);
        };
        let fork = link(&self.hash, head.incarnation);
        let shared = &mut self.attempt.shared;
        // A step of it each; what it came to is seen when its head is looked at again.
        let _: Progress = self.core.advance(fork, lineage.source, shared)?;
        Ok(None)
    }

    /// The fork is there: removes the traces of its creation. What can't be removed now is by
    /// whoever finds the to-do entry.
    pub(super) fn tidy(&mut self) {
        let Some(source) = self.source_link() else {
            return;
        };
        let (fork, core) = (self.fork_link(), self.core);
        let entry = self.join_entry(source);
        let shared = &mut self.attempt.shared;
        if let Ok(Updated::Done(_)) = core.settle_join(fork, source, shared) {
            let _ = core.remove_todo(self.hash.shard(), &entry, shared);
        }
    }

    /// The fork will not begin, and its head was not written: takes its step out of the source.
    pub(super) fn withdraw_step(&mut self) {
        let (Some(source), Some(begun)) = (self.source_link(), self.attempt.fork.clone()) else {
            return;
        };
        if !begun.noted {
            return;
        }
        let (fork, core) = (self.fork_link(), self.core);
        let entry = self.join_entry(source);
        let shared = &mut self.attempt.shared;
        match core.give_up(fork, source, shared) {
            // With a swap under way that adds it, it may come yet.
            Ok(Updated::Done(gone)) if gone || !begun.sent => {
                let _ = core.remove_todo(self.hash.shard(), &entry, shared);
            }
            _ => {}
        }
        self.attempt.fork = None;
    }
}

fn depth(head: &Head) -> u64 {
    head.lineage.as_ref().map_or(0, |lineage| lineage.depth)
}
