//! Why a step of a control call did not finish.

use crate::protocol::control::{Refused, RefusedCode};
use crate::protocol::problem::{Code, Problem};
use crate::service::fault::Fault;
use crate::subscription::id;

/// Why a step did not finish.
pub(super) enum Stop {
    Refused(Refused),
    Problem(Problem),
    Fault(Fault),
    /// Retry after this many milliseconds.
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
    /// No subscription has this id, or the caller has no right to it.
    pub(super) fn missing(id: &str) -> Self {
        let message = format!("There is no subscription {}.", id::given(id));
        Refused::new(RefusedCode::SubscriptionNotFound, message).into()
    }

    /// The rights of the caller do not cover `name`.
    pub(super) fn forbidden(action: &str, name: &str) -> Self {
        let detail = format!("You may not {action} {name}.");
        Problem::new(Code::InsufficientScope, detail).into()
    }
}
