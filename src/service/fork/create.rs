//! Creation of forks (section 4.2): the steps that a `PUT` with `Stream-Forked-From` adds to an
//! ordinary creation.
//!
//! 1. Read the source.
//! 2. Add the to-do entry.
//! 3. Mark the fork as *joining* in the source's head; the attempt keeps the branch cut from it.
//! 4. Write the fork's head, pending.
//! 5. Mark the fork as *joined* in the source's head.
//! 6. Write the fork's head without `pending`.
//! 7. Answer 201.
//!
//! Any request that finds the fork pending continues it, see `steps.rs`.

use super::steps::{self, Progress};
use super::{bar, place};
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::todo::Entry;
use crate::limits::FORK_DEPTH;
use crate::protocol::json;
use crate::protocol::problem::Problem;
use crate::service::create::{Done, Fork, Putter};
use crate::service::env::Env;
use crate::service::fault::{Fault, Refusal};
use crate::service::heads::Life;
use crate::service::progress::ForkAttempt;
use crate::service::records::names;
use crate::service::records::todo;
use crate::service::records::update::Updated;
use crate::service::reply::Reply;
use crate::service::segments::Segments;
use crate::service::{heads, problems};
use crate::stream::{
    Birth, ForkError, Head, InvalidMessages, Link, Payload, Presence, branch as cut_branch,
    inherited_expiry,
};

/// Reads of the source's head in one step.
const LOOKS: usize = 8;

fn source_hash<E: Env>(_putter: &Putter<'_, E>, fork: &Fork) -> NameHash {
    NameHash::of(fork.source.as_str())
}

fn fork_link<E: Env>(putter: &Putter<'_, E>) -> Link {
    heads::link(&putter.hash, putter.attempt.incarnation)
}

/// The source, once it was read.
pub(in crate::service) fn source_link<E: Env>(putter: &Putter<'_, E>) -> Option<Link> {
    let fork = putter.call.fork.as_ref()?;
    let begun = putter.attempt.fork.as_ref()?;
    Some(heads::link(&source_hash(putter, fork), begun.source))
}

fn branch<E: Env>(putter: &Putter<'_, E>) -> Option<Head> {
    let begun = putter.attempt.fork.as_ref()?;
    match Record::decode(&begun.branch, 1) {
        Ok(Record::Live(head)) => Some(*head),
        Ok(Record::Tombstone(_)) | Err(_) => None,
    }
}

/// Reads the source of a fork, and copies the settings that the fork inherits. Returns the reply if
/// the source can't be forked as requested.
pub(in crate::service) fn prepare<E: Env>(
    putter: &mut Putter<'_, E>,
) -> Result<Option<Done>, Fault> {
    let Some(fork) = &putter.call.fork else {
        return Ok(None);
    };
    let (looked, source) = match branch(putter) {
        Some(branch) => (inherit(putter, fork, &branch), None),
        None => {
            let source = source(putter, fork)?;
            (look(putter, fork, source.as_ref()), source)
        }
    };
    match (looked, source) {
        (Ok(()), _) => Ok(None),
        (Err(Refusal::Problem(problem)), Some(source)) => match repeated(putter, fork, &source)? {
            Some(reply) => Ok(Some(end(putter, reply))),
            None => Ok(Some(refuse(putter, &problem))),
        },
        (Err(Refusal::Problem(problem)), None) => Ok(Some(refuse(putter, &problem))),
        (Err(Refusal::Fault(fault)), _) => Err(fault),
    }
}

/// The current life of the source's name.
fn source<E: Env>(putter: &Putter<'_, E>, fork: &Fork) -> Result<Option<Head>, Fault> {
    let slot = putter.core.keys.head(&source_hash(putter, fork));
    Ok(match heads::record(putter.core, &slot)? {
        Some(Record::Live(head)) if head.name == fork.source.as_str() => Some(*head),
        _ => None,
    })
}

/// The answer to a repeated creation if its source can't be forked any more. A deleted source is
/// kept for its forks, with the settings that they inherit.
fn repeated<E: Env>(
    putter: &mut Putter<'_, E>,
    fork: &Fork,
    source: &Head,
) -> Result<Option<Reply>, Fault> {
    let head = match heads::record(putter.core, putter.slot)? {
        Some(Record::Live(head)) if head.name == putter.call.name => *head,
        _ => return Ok(None),
    };
    let now = head.now_ms(putter.core.env.now_ms());
    let lineage = head.lineage.as_ref();
    if head.is_pending()
        || head.presence(now) != Presence::Here
        || lineage.is_none_or(|lineage| lineage.source.incarnation != source.incarnation)
        || inherit(putter, fork, source).is_err()
    {
        return Ok(None);
    }
    Ok(putter.found(&head))
}

fn refuse<E: Env>(putter: &mut Putter<'_, E>, problem: &Problem) -> Done {
    end(putter, Reply::problem(problem, putter.call.instance))
}

/// Ends the creation with this answer.
fn end<E: Env>(putter: &mut Putter<'_, E>, reply: Reply) -> Done {
    if !putter.unsure() {
        withdraw(putter);
    }
    Done::Reply(reply)
}

fn look<E: Env>(
    putter: &mut Putter<'_, E>,
    fork: &Fork,
    source: Option<&Head>,
) -> Result<(), Refusal> {
    let Some(head) = source else {
        return Err(Refusal::Problem(problems::not_found(fork.source.as_str())));
    };
    check(putter, fork, head)?;
    inherit(putter, fork, head)?;
    let point = place::place(putter.core, head, fork.asked)?;
    putter.point = fork.asked.offset.map(|_| point);
    let source = head.incarnation;
    if putter
        .attempt
        .fork
        .as_ref()
        .is_some_and(|begun| begun.source != source)
    {
        // The source was deleted and created again between two steps: the new life has nothing of
        // this attempt.
        withdraw(putter);
        putter.attempt.fork = None;
    }
    putter.attempt.fork.get_or_insert(ForkAttempt {
        source,
        branch: Vec::new(),
        noted: false,
        sent: false,
        written: false,
    });
    Ok(())
}

/// Whether `head` may be forked now.
fn check<E: Env>(putter: &Putter<'_, E>, fork: &Fork, head: &Head) -> Result<(), Refusal> {
    let name = fork.source.as_str();
    let now = head.now_ms(putter.core.env.now_ms());
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

/// Copies the settings that a fork inherits from its source unless the request sets them.
fn inherit<E: Env>(putter: &mut Putter<'_, E>, fork: &Fork, source: &Head) -> Result<(), Refusal> {
    putter.create.expiry = inherited_expiry(putter.call.create.expiry, source.expiry);
    if fork.content_type.is_some() {
        return Ok(());
    }
    putter.create.content_type = source.content_type.clone();
    let body = putter.call.payload.bytes();
    if source.content_type.is_json() && !body.is_empty() {
        let framed = json::frame(body).map_err(|error| {
            let error = InvalidMessages::NotJson(error.to_string());
            Refusal::Problem(problems::messages(&error))
        })?;
        putter.payload = Payload::Messages {
            bytes: framed.bytes,
            ends: framed.ends,
        };
    }
    Ok(())
}

/// Ensures that the source has the fork's step, and keeps the branch. Does nothing if no fork was
/// requested.
pub(in crate::service) fn join<E: Env>(putter: &mut Putter<'_, E>) -> Result<Option<Done>, Fault> {
    let (Some(fork), Some(source)) = (&putter.call.fork, source_link(putter)) else {
        return Ok(None);
    };
    if branch(putter).is_some() {
        return Ok(None);
    }
    if let Some(wait) = note_join(putter, source)? {
        return Ok(Some(wait));
    }
    match add_step(putter, fork, source) {
        Ok(done) => Ok(done),
        Err(Refusal::Problem(problem)) => Ok(Some(refuse(putter, &problem))),
        Err(Refusal::Fault(fault)) => Err(fault),
    }
}

fn join_entry<E: Env>(putter: &Putter<'_, E>, source: Link) -> Entry {
    Entry::Join {
        hash: putter.hash,
        incarnation: putter.attempt.incarnation,
        source,
        since_ms: putter.attempt.now_ms,
    }
}

fn note_join<E: Env>(putter: &mut Putter<'_, E>, source: Link) -> Result<Option<Done>, Fault> {
    let entry = join_entry(putter, source);
    let shard = putter.hash.shard();
    if let Some(begun) = &mut putter.attempt.fork {
        begun.noted = true;
    }
    match todo::add(putter.core, shard, &entry, &mut putter.attempt.shared)? {
        Updated::Done(()) => Ok(None),
        Updated::Wait(ms) => Ok(Some(Done::Wait(ms))),
    }
}

fn add_step<E: Env>(
    putter: &mut Putter<'_, E>,
    fork: &Fork,
    source: Link,
) -> Result<Option<Done>, Refusal> {
    for _ in 0..LOOKS {
        let Life::Head(cas, mut head) = heads::life(putter.core, source)? else {
            let name = fork.source.as_str();
            return Err(Refusal::Problem(problems::not_found(name)));
        };
        let fresh = head.forks.step(putter.attempt.incarnation).is_none();
        if fresh {
            check(putter, fork, &head)?;
        }
        // Before the swap, so that an impossible fork leaves no trace in the source.
        let branch = cut(putter, fork, source, &head)?.encode();
        if fresh {
            // Only now, with the source's handle taken: a worker that bars the name changes the
            // source's version after that.
            if bar::is_barred(putter.core, fork_link(putter))? {
                return Err(
                    Fault::Deadline("background work took the fork for an abandoned one").into(),
                );
            }
            if head.forks.join(putter.attempt.incarnation).is_err() {
                return Ok(Some(Done::Wait(putter.core.pause_ms(putter.attempt.tries))));
            }
            if let Some(begun) = &mut putter.attempt.fork {
                begun.sent = true;
            }
            if !heads::put(putter.core, cas, head)? {
                continue;
            }
        }
        if let Some(begun) = &mut putter.attempt.fork {
            begun.branch = branch;
            begun.sent = false;
        }
        return Ok(None);
    }
    Ok(Some(Done::Wait(putter.core.pause_ms(putter.attempt.tries))))
}

fn cut<E: Env>(
    putter: &Putter<'_, E>,
    fork: &Fork,
    source: Link,
    head: &Head,
) -> Result<Record, Refusal> {
    let point = putter.point.unwrap_or_else(|| head.tail());
    let birth = Birth {
        incarnation: putter.attempt.incarnation,
        leaf: putter.attempt.leaf,
        now_ms: putter.attempt.now_ms,
        timeline: putter.attempt.timeline,
    };
    let in_block = point > head.start() && point.number() < head.recent_first;
    let block = match in_block {
        true => Some(Segments::new(putter.core, head).block_of(point.number())?),
        false => None,
    };
    let block = block.as_ref().map(|(block, owner)| (block, *owner));
    cut_branch(
        putter.call.name,
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

/// The head of the fork at the time when its source got its step.
pub(in crate::service) fn begun<E: Env>(putter: &Putter<'_, E>) -> Option<Head> {
    putter.call.fork.as_ref().and_then(|_| branch(putter))
}

/// Handles a fork that its source has not counted yet: continues it, even if another request began
/// it.
pub(in crate::service) fn meet_pending<E: Env>(
    putter: &mut Putter<'_, E>,
    head: &Head,
) -> Result<Option<Done>, Fault> {
    let Some(lineage) = &head.lineage else {
        return Ok(None);
    };
    let fork = heads::link(&putter.hash, head.incarnation);
    let shared = &mut putter.attempt.shared;
    // One step per call; the next read of the fork's head shows the result.
    let _: Progress = steps::advance(putter.core, fork, lineage.source, shared)?;
    Ok(None)
}

/// Removes the traces of a finished creation. A worker that finds the to-do entry removes the rest.
pub(in crate::service) fn tidy<E: Env>(putter: &mut Putter<'_, E>) {
    let Some(source) = source_link(putter) else {
        return;
    };
    let (fork, core) = (fork_link(putter), putter.core);
    let entry = join_entry(putter, source);
    let shared = &mut putter.attempt.shared;
    if let Ok(Updated::Done(_)) = steps::settle_join(core, fork, source, shared) {
        let _ = todo::remove(core, putter.hash.shard(), &entry, shared);
    }
}

/// Takes the step of a fork out of the source. The fork will not begin, and its head was not
/// written.
pub(in crate::service) fn withdraw_step<E: Env>(putter: &mut Putter<'_, E>) {
    let (Some(source), Some(begun)) = (source_link(putter), putter.attempt.fork.clone()) else {
        return;
    };
    if !begun.noted {
        return;
    }
    let (fork, core) = (fork_link(putter), putter.core);
    let entry = join_entry(putter, source);
    let shared = &mut putter.attempt.shared;
    match steps::give_up(core, fork, source, shared) {
        // If a swap that adds the step is under way, the step may still arrive.
        Ok(Updated::Done(gone)) if gone || !begun.sent => {
            let _ = todo::remove(core, putter.hash.shard(), &entry, shared);
        }
        _ => {}
    }
    putter.attempt.fork = None;
}

/// Removes the data stored for a life that will not begin.
pub(in crate::service) fn withdraw<E: Env>(putter: &mut Putter<'_, E>) {
    withdraw_step(putter);
    if putter.attempt.stored {
        heads::delete_chunks(
            putter.core,
            putter.attempt.incarnation,
            &putter.attempt.chunks,
        );
        putter.attempt.stored = false;
    }
    if let Some(leaf) = putter.attempt.leaf.take() {
        let life = putter.attempt.incarnation;
        // If this fails, the walk through the registry finds the name.
        let _ = names::remove(
            putter.core,
            &putter.hash,
            leaf,
            life,
            &mut putter.attempt.shared,
        );
    }
}

fn depth(head: &Head) -> u64 {
    head.lineage.as_ref().map_or(0, |lineage| lineage.depth)
}
