//! Faults, logged and turned into responses.

use super::core::Core;
use super::env::Env;
use super::fault::{Fault, Refusal};
use super::reply::Reply;
use super::{log, problems};
use crate::protocol::problem::Problem;

/// The response to a fault, which is logged.
pub(super) fn fault<E: Env>(core: &Core<E>, fault: &Fault, instance: &str) -> Reply {
    let path = instance.split_once('?').map_or(instance, |(path, _)| path);
    Reply::problem(&log_fault(core, fault, Some(path)), instance)
}

/// Logs a fault of a request for `path`, or of none, and says what its sender is told.
pub(super) fn log_fault<E: Env>(core: &Core<E>, fault: &Fault, path: Option<&str>) -> Problem {
    let problem = problems::fault(fault);
    log::fault(&core.env, &core.config, fault, &problem, path);
    problem
}

/// Logs what could not be done behind an answer.
pub(super) fn note_fault<E: Env>(core: &Core<E>, fault: &Fault) {
    let _ = log_fault(core, fault, None);
}

/// The response to a refusal.
pub(super) fn refusal<E: Env>(core: &Core<E>, refusal: Refusal, instance: &str) -> Reply {
    match refusal {
        Refusal::Problem(problem) => Reply::problem(&problem, instance),
        Refusal::Fault(failed) => fault(core, &failed, instance),
    }
}
