//! Parses a request and decides whether to serve it, before any read of its stream.

use super::access;
use super::core::Core;
use super::core::Variables;
use super::env::Env;
use super::{heads, report};
use crate::access::Caller;
use crate::protocol::problem::Problem;
use crate::protocol::request::{self, Action, Operation, RawRequest};

/// The problem that the variables cause for every request, if any.
pub(super) fn refused<E: Env>(core: &Core<E>) -> Option<Problem> {
    match core.variables {
        Variables::Good => None,
        Variables::Malformed => Some(Problem::misconfigured()),
        Variables::Unread => Some(Problem::unavailable()),
    }
}

/// The operation of a request, and its caller. `begun`: an earlier step checked the rights already.
pub(super) fn parse<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    begun: bool,
) -> Result<(Operation, Caller), Problem> {
    let operation = request::parse(raw, &core.config);
    if matches!(operation, Ok(Operation::Health)) {
        return Ok((Operation::Health, Caller::anyone()));
    }
    // Before any other problem: with correct variables the request may have none.
    if let Some(problem) = refused(core) {
        return Err(problem);
    }
    let operation = operation?;
    // This check precedes every read of the store. A commit that may have been applied gets its
    // outcome, even if the token expired meanwhile. A control call is checked in every step,
    // because the subscription that it writes keeps the rights of its creator. So is a read, which
    // has no outcome, and must end with the token.
    let is_rechecked = match &operation {
        Operation::Control(_) => true,
        Operation::Stream { action, .. } => matches!(action, Action::Read(_)),
        _ => false,
    };
    let caller = match begun && !is_rechecked {
        true => Caller::anyone(),
        false => access::admit(core, raw, &operation)?,
    };
    // Other operations check the marker when they find no record: see `heads::check_marker`.
    if matches!(operation, Operation::Tick { .. } | Operation::Ready) {
        heads::check_marker(core).map_err(|fault| report::log_fault(core, &fault, None))?;
    }
    Ok((operation, caller))
}
