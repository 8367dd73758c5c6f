//! Why a list or a description was not made.

use crate::protocol::control::Refused;
use crate::protocol::problem::Problem;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::reply::Reply;
use crate::service::report;

/// Why a call did not succeed.
pub(super) enum Stop {
    Refused(Refused),
    Problem(Problem),
    Fault(Fault),
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
    /// The response to a request with the target `instance`.
    pub(super) fn reply<E: Env>(self, core: &Core<E>, instance: &str) -> Reply {
        match self {
            Self::Refused(refused) => Reply::refused(&refused),
            Self::Problem(problem) => Reply::problem(&problem, instance),
            Self::Fault(fault) => report::fault(core, &fault, instance),
        }
    }
}
