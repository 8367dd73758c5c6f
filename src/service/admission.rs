//! What a request asks for, and whether it is served at all: before the store is asked about its
//! stream.

use super::env::Env;
use super::{Service, Variables};
use crate::access::Caller;
use crate::protocol::problem::Problem;
use crate::protocol::request::{self, Operation, RawRequest};

impl<E: Env> Service<E> {
    /// Why no request can be served, if that is due to the variables.
    pub(super) fn refused(&self) -> Option<Problem> {
        match self.variables {
            Variables::Good => None,
            Variables::Malformed => Some(Problem::misconfigured()),
            Variables::Unread => Some(Problem::unavailable()),
        }
    }

    /// What a request asks for, and who asks. `begun` says that this was judged already.
    pub(super) fn parse(
        &self,
        raw: &RawRequest<'_>,
        begun: bool,
    ) -> Result<(Operation, Caller), Problem> {
        let operation = request::parse(raw, &self.config);
        if matches!(operation, Ok(Operation::Health)) {
            return Ok((Operation::Health, Caller::anyone()));
        }
        // Before any other problem: with other variables the request may have none.
        if let Some(problem) = self.refused() {
            return Err(problem);
        }
        let operation = operation?;
        // Before the store is asked anything. A commit that may have been applied is told how it
        // went, also if the token expired meanwhile; but a subscription keeps its creator's rights,
        // in whichever step it is written.
        let keeps_rights = matches!(operation, Operation::Control(_));
        let caller = match begun && !keeps_rights {
            true => Caller::anyone(),
            false => self.admit(raw, &operation)?,
        };
        // Other operations check the marker when they find no record: see `Core::check_marker`.
        if matches!(operation, Operation::Tick { .. } | Operation::Ready) {
            let core = self.core();
            core.check_marker()
                .map_err(|fault| core.log_fault(&fault, None))?;
        }
        Ok((operation, caller))
    }
}
