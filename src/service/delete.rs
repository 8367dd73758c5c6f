//! Deletion (section 5.4): one swap turns the head into a tombstone; `work` removes the stream's
//! data in bounded steps.

use super::attempt::DeleteAttempt;
use super::core::Core;
use super::ending::Ended;
use super::env::{Env, StoreError};
use super::fault::Fault;
use super::fork;
use super::reply::Reply;
use super::{ending, heads, problems, report};
use crate::keys::head::Record;
use crate::keys::{NameHash, Slot};
use crate::protocol::problem::Problem;

/// Result of one deletion step.
pub(super) enum DeleteResult {
    Reply(Reply),
    Again(u64, DeleteAttempt),
}

/// Reads of the head in one step.
const LOOKS: usize = 4;

/// Deletes the stream `name`.
pub(super) fn delete<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    instance: &str,
    mut attempt: DeleteAttempt,
) -> DeleteResult {
    let hash = NameHash::of(name);
    match step(core, name, &hash, slot, &mut attempt) {
        Ok(Some(problem)) => DeleteResult::Reply(Reply::problem(&problem, instance)),
        Ok(None) => DeleteResult::Reply(Reply::write(204)),
        Err(Stop::Wait(wait)) => {
            attempt.tries = attempt.tries.saturating_add(1);
            // Waiting for the creator of a to-do shard extends the deadline.
            let extra = attempt.shared.election.extra_ms();
            let end = attempt.deadline_ms.saturating_add(extra);
            if core.env.now_ms().saturating_add(wait) <= end {
                return DeleteResult::Again(wait, attempt);
            }
            let fault = match attempt.sent {
                Some(_) => {
                    Fault::Unknown("the deadline passed while a swap was under way".to_owned())
                }
                None => Fault::Deadline("other writers won every swap"),
            };
            DeleteResult::Reply(report::fault(core, &fault, instance))
        }
        Err(Stop::Fault(fault)) => DeleteResult::Reply(report::fault(core, &fault, instance)),
    }
}

/// Why a step did not finish.
enum Stop {
    Wait(u64),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// `None` if the stream is deleted, else the reason why it can't be.
fn step<E: Env>(
    core: &Core<E>,
    name: &str,
    hash: &NameHash,
    slot: &Slot,
    attempt: &mut DeleteAttempt,
) -> Result<Option<Problem>, Stop> {
    for _ in 0..LOOKS {
        let found = heads::find_record(core, slot).map_err(|fault| unsure(fault, attempt, core))?;
        let Some((cas, record)) = found else {
            return Ok(Some(problems::not_found(name)));
        };
        let head = match record {
            Record::Live(head) if head.name == name => head,
            // The swap was sent, and the life is over.
            _ if attempt.sent.is_some() => return Ok(verdict(name, attempt, false)),
            _ => return Ok(Some(problems::not_found(name))),
        };
        if attempt.sent.is_some_and(|sent| sent != head.incarnation) {
            return Ok(verdict(name, attempt, false));
        }
        let now = head.now_ms(core.env.now_ms());
        match (head.forks.deleted, attempt.sent) {
            (true, Some(_)) => return Ok(verdict(name, attempt, true)),
            (true, None) => return Ok(Some(problems::gone(name))),
            (false, _) if head.is_pending() => return Ok(Some(problems::not_found(name))),
            (false, _) => {}
        }
        let before = attempt.sent;
        attempt.sent = Some(head.incarnation);
        attempt.expired = head.is_expired(now);
        let ended = ending::end_life(core, hash, cas, &head, now, &mut attempt.shared);
        match ended {
            Ok(Ended::Done) => {
                if let Some(lineage) = &head.lineage {
                    // If a fault stops the cascade, background work continues it.
                    let fork = heads::link(hash, head.incarnation);
                    let _ = fork::cascade(core, fork, lineage.source, &mut attempt.shared);
                }
                return Ok(verdict(name, attempt, false));
            }
            Ok(Ended::Hidden) => return Ok(verdict(name, attempt, true)),
            Ok(Ended::Look) => {}
            Ok(Ended::Wait(wait)) => {
                attempt.sent = before;
                return Err(Stop::Wait(wait));
            }
            Err(fault) => {
                attempt.sent = before;
                return Err(unsure(fault, attempt, core));
            }
        }
    }
    Err(Stop::Wait(core.pause_ms(attempt.tries)))
}

/// The problem to report if the ended life had expired before. `hidden`: its forks keep its bytes.
fn verdict(name: &str, attempt: &DeleteAttempt, hidden: bool) -> Option<Problem> {
    match (attempt.expired, hidden) {
        (false, _) => None,
        (true, false) => Some(problems::expired()),
        (true, true) => Some(problems::gone(name)),
    }
}

/// Decides how a fault of the store ends a step. With a swap under way, an unavailable store means
/// a wait, and any other error an unknown outcome.
fn unsure<E: Env>(fault: Fault, attempt: &DeleteAttempt, core: &Core<E>) -> Stop {
    match (&fault, attempt.sent) {
        (Fault::Store(StoreError::Unavailable(_)), Some(_)) => {
            Stop::Wait(core.pause_ms(attempt.tries))
        }
        (Fault::Store(error), Some(_)) => Stop::Fault(Fault::Unknown(error.to_string())),
        _ => Stop::Fault(fault),
    }
}
