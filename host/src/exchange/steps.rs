//! The exported calls of an instance.

use super::answer::Answer;
use super::effects::{DeliveryResult, Worked};
use super::request::Request;
use super::token::{Attempt, Token};
use crate::store::Lost;
use crate::wasi::Footprint;

/// Reason for resuming an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The client took all bytes sent so far.
    Ready,
    /// The key changed.
    Changed,
    /// The key did not change during the requested wait.
    Timeout,
    /// The exchange reached the age in [`ResponseContext::max_age`](super::ResponseContext::max_age).
    Expired,
    /// The server shuts down.
    Draining,
}

/// Reason that a step has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The instance trapped or broke the contract. Its step may have been applied. The instance
    /// must not be called again.
    #[error("the instance failed: {0}")]
    Broken(String),
    /// No instance is available, so the step was not applied.
    #[error("no instance is available: {0}")]
    NoInstance(String),
    /// The store lost a write of the step, or a write that the step had read.
    #[error("{0}")]
    Lost(#[from] Lost),
}

/// The exported steps of one instance. Each call blocks until its step is done, which takes
/// microseconds. An instance that runs too long is stopped, and the result is
/// [`StepError::Broken`].
pub(crate) trait Steps: Send {
    /// Whether the instance has other variables than the ones in force. It then gets no more steps.
    fn is_outdated(&self) -> bool;

    /// Begins a step; see [`Keys::begin`](crate::wasi::Keys::begin).
    fn begin(&mut self, hurried: bool);

    /// Ends a step, and returns its footprint in the store.
    fn end(&mut self) -> Footprint;

    /// Begins the exchanges of one request, or of several `POST`s to one raw path. Returns one
    /// answer for each.
    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError>;

    /// Resumes an exchange. Equal tokens with equal causes get equal answers.
    fn resume(&mut self, token: &Token, cause: Cause) -> Result<Answer, StepError>;

    /// Resumes with the outcome of a delivery.
    fn delivered(&mut self, token: &Token, outcome: &DeliveryResult) -> Result<Worked, StepError>;

    /// Does one piece of background work.
    fn work(&mut self, round: u64) -> Result<Worked, StepError>;
}
