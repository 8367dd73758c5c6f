//! Logs faults, and turns them into responses.

use super::core::Core;
use super::env::Env;
use super::fault::{Fault, Refusal};
use super::reply::Reply;
use super::{log, problems};
use crate::protocol::problem::Problem;

/// Logs a fault, and returns its response.
pub(super) fn fault<E: Env>(core: &Core<E>, fault: &Fault, instance: &str) -> Reply {
    let path = instance.split_once('?').map_or(instance, |(path, _)| path);
    Reply::problem(&log_fault(core, fault, Some(path)), instance)
}

/// Logs a fault, with the `path` of its request if there is one. Returns the problem for the
/// client.
pub(super) fn log_fault<E: Env>(core: &Core<E>, fault: &Fault, path: Option<&str>) -> Problem {
    let problem = problems::fault(fault);
    log::fault(&core.env, &core.config, fault, &problem, path);
    problem
}

/// Logs a fault of work behind an answer.
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
