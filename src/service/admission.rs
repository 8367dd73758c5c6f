//! What a request asks for, and whether it is served at all: before the store is asked about its
//! stream.

use super::core::Fault;
use super::env::{Env, StoreError};
use super::{Service, Variables, log};
use crate::access::Caller;
use crate::keys::MARKERS;
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
        // What was begun was let in before, and may have been applied since.
        if !begun
            && matches!(
                operation,
                Operation::Stream { .. }
                    | Operation::Tick { .. }
                    | Operation::Control(_)
                    | Operation::Ready
            )
        {
            self.check_marker()?;
        }
        Ok((operation, caller))
    }

    /// Sees to it that the store is used either with guarded or with unguarded creation.
    pub(super) fn check_marker(&self) -> Result<(), Problem> {
        if self.marked.get() {
            return Ok(());
        }
        let [gates, swap] = MARKERS;
        let ours = if self.config.kv_guarded_create {
            swap
        } else {
            gates
        };
        let key = self.keys.marker();
        let refuse = |error: StoreError| self.core().log_fault(&Fault::Store(error), None);
        match self.env.get(&key).map_err(refuse)? {
            Some(value) if value == ours => {}
            Some(_) => {
                log::other_creation(&self.env);
                return Err(Problem::misconfigured());
            }
            None => {
                self.env.set(&key, ours).map_err(refuse)?;
                // At the first use of a store: instances come and go by the second.
                if !self.access.is_on() {
                    log::open(&self.env, &self.config);
                }
            }
        }
        self.marked.set(true);
        Ok(())
    }
}
