//! Adoption of producers: `PUT {base_path}/__ds/streams/NAME/producers`, for operators who move a
//! stream. One swap of the head adopts them all. A swap with a lost answer is repeated: an adoption
//! that was applied changes nothing more.

use super::attempt::AdoptAttempt;
use super::core::Core;
use super::env::{Env, StoreError};
use super::fault::Fault;
use super::reply::Reply;
use super::{heads, problems, report};
use crate::keys::Slot;
use crate::keys::head::Record;
use crate::protocol::control::{Refused, RefusedCode};
use crate::protocol::headers;
use crate::protocol::request::RawRequest;
use crate::stream::{AdoptError, Adoption, Presence};

/// Result of one step of an adoption.
pub(super) enum AdoptResult {
    Reply(Reply),
    /// Retry after this many milliseconds, passing this attempt back.
    Again(u64, AdoptAttempt),
}

/// Reads of the head in one step.
const LOOKS: usize = 4;

/// Adopts producers into the table of the stream `name`.
pub(super) fn adopt<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    name: &str,
    slot: &Slot,
    mut attempt: AdoptAttempt,
) -> AdoptResult {
    let adoption = match Adoption::parse(raw, &core.config) {
        Ok(adoption) => adoption,
        Err(refused) => return AdoptResult::Reply(Reply::refused(&refused)),
    };
    let fault = match step(core, name, slot, &adoption, &mut attempt) {
        Ok(Some(reply)) => return AdoptResult::Reply(reply),
        Ok(None) => Fault::Deadline("other writers won every swap"),
        Err(fault @ Fault::Store(StoreError::Unavailable(_))) => fault,
        Err(fault) => return AdoptResult::Reply(report::fault(core, &fault, raw.target)),
    };
    let wait = core.pause_ms(attempt.tries);
    attempt.tries = attempt.tries.saturating_add(1);
    if core.env.now_ms().saturating_add(wait) <= attempt.deadline_ms {
        return AdoptResult::Again(wait, attempt);
    }
    let fault = match attempt.sent {
        true => Fault::Unknown("the deadline passed while a swap was under way".to_owned()),
        false => fault,
    };
    AdoptResult::Reply(report::fault(core, &fault, raw.target))
}

/// Returns the reply; `None` if other writers won every swap.
fn step<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    adoption: &Adoption,
    attempt: &mut AdoptAttempt,
) -> Result<Option<Reply>, Fault> {
    let config = &core.config;
    let idle_ms = config.producer_idle_secs.saturating_mul(1000);
    for _ in 0..LOOKS {
        let (cas, mut head) = match heads::find_record(core, slot)? {
            Some((cas, Record::Live(head))) if head.name == name => (cas, head),
            _ => return Ok(Some(missing(RefusedCode::StreamNotFound, name))),
        };
        let clock = core.env.now_ms();
        match head.presence(head.now_ms(clock)) {
            Presence::Here => {}
            Presence::Absent | Presence::Expired => {
                return Ok(Some(missing(RefusedCode::StreamNotFound, name)));
            }
            Presence::Gone => return Ok(Some(missing(RefusedCode::StreamGone, name))),
        }
        match head.adopt(adoption, config.max_producers, idle_ms, clock) {
            Ok(true) => {}
            Ok(false) => return Ok(Some(Reply::write(204))),
            Err(error) => return Ok(Some(refusal(&error))),
        }
        attempt.sent = true;
        if heads::put(core, cas, head)? {
            return Ok(Some(Reply::write(204)));
        }
        // Some stores report an applied swap as failed: the next read shows it.
    }
    Ok(None)
}

fn missing(code: RefusedCode, name: &str) -> Reply {
    let problem = match code {
        RefusedCode::StreamGone => problems::gone(name),
        _ => problems::not_found(name),
    };
    Reply::refused(&Refused::new(code, problem.detail))
}

fn refusal(error: &AdoptError) -> Reply {
    let (code, wait_ms) = match error {
        AdoptError::OtherTail => (RefusedCode::OtherTail, None),
        AdoptError::Past => (RefusedCode::ProducerPast, None),
        AdoptError::OtherClose => (RefusedCode::OtherClose, None),
        AdoptError::TooMany { wait_ms } => (RefusedCode::TooManyProducers, Some(wait_ms)),
    };
    let reply = Reply::refused(&Refused::new(code, error.to_string()));
    match wait_ms {
        Some(wait_ms) => reply.with(headers::RETRY_AFTER, wait_ms.div_ceil(1000).to_string()),
        None => reply,
    }
}
