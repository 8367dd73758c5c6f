//! What a request asks for, and whether it is served at all: before the store is asked about its
//! stream.

use super::access;
use super::core::Core;
use super::core::Variables;
use super::env::Env;
use super::{heads, report};
use crate::access::Caller;
use crate::protocol::problem::Problem;
use crate::protocol::request::{self, Operation, RawRequest};

/// Why no request can be served, if that is due to the variables.
pub(super) fn refused<E: Env>(core: &Core<E>) -> Option<Problem> {
    match core.variables {
        Variables::Good => None,
        Variables::Malformed => Some(Problem::misconfigured()),
        Variables::Unread => Some(Problem::unavailable()),
    }
}

/// What a request asks for, and who asks. `begun` says that this was judged already.
pub(super) fn parse<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    begun: bool,
) -> Result<(Operation, Caller), Problem> {
    let operation = request::parse(raw, &core.config);
    if matches!(operation, Ok(Operation::Health)) {
        return Ok((Operation::Health, Caller::anyone()));
    }
    // Before any other problem: with other variables the request may have none.
    if let Some(problem) = refused(core) {
        return Err(problem);
    }
    let operation = operation?;
    // Before the store is asked anything. A commit that may have been applied is told how it
    // went, also if the token expired meanwhile; but a subscription keeps its creator's rights,
    // in whichever step it is written.
    let keeps_rights = matches!(operation, Operation::Control(_));
    let caller = match begun && !keeps_rights {
        true => Caller::anyone(),
        false => access::admit(core, raw, &operation)?,
    };
    // Other operations check the marker when they find no record: see `Core::check_marker`.
    if matches!(operation, Operation::Tick { .. } | Operation::Ready) {
        heads::check_marker(core).map_err(|fault| report::log_fault(core, &fault, None))?;
    }
    Ok((operation, caller))
}
