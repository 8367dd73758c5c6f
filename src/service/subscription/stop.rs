//! Why a step of a control call did not end.

use crate::protocol::control::{Refused, RefusedCode};
use crate::protocol::problem::{Code, Problem};
use crate::service::fault::Fault;
use crate::subscription::id;

/// Why a step did not end.
pub(super) enum Stop {
    Refused(Refused),
    Problem(Problem),
    Fault(Fault),
    /// Go on after so many milliseconds.
    Wait(u64),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Stop {
    /// There is no subscription of this id, or not for this caller.
    pub(super) fn missing(id: &str) -> Self {
        let message = format!("There is no subscription {}", id::given(id));
        Refused::new(RefusedCode::SubscriptionNotFound, message).into()
    }

    /// The rights of the caller do not cover `name`.
    pub(super) fn forbidden(what: &str, name: &str) -> Self {
        let detail = format!("You may not {what} {name}.");
        Problem::new(Code::InsufficientScope, detail).into()
    }
}
