//! The calls of an instance.

use super::answer::Answer;
use super::effects::{Outcome, Worked};
use super::request::Request;
use super::token::{Attempt, Token};
use crate::store::Lost;
use crate::wasi::Footprint;

/// Why an exchange is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The client took what was sent.
    Ready,
    /// The key changed.
    Changed,
    /// It did not, for as long as was asked.
    Timeout,
    /// The exchange reached the age in [`Held::max_age`](super::Held::max_age).
    Expired,
    /// The server shuts down.
    Draining,
}

/// Why a step has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The instance trapped or broke the contract: what it was doing may have been applied. It must
    /// not be called again.
    #[error("the instance broke: {0}")]
    Broken(String),
    /// No instance could be had, so nothing was done.
    #[error("no instance: {0}")]
    NoInstance(String),
    /// What the step wrote, or what it had read, is not there any more.
    #[error("{0}")]
    Lost(#[from] Lost),
}

/// The exported steps of one instance. Each call blocks until its step is done, which is the work
/// of microseconds; an instance that runs away is stopped and [`StepError::Broken`].
pub(crate) trait Steps: Send {
    /// Begins a step; see [`Keys::begin`](crate::wasi::Keys::begin).
    fn begin(&mut self, _hurried: bool) {}

    /// What the step met in the store.
    fn end(&mut self) -> Footprint {
        Footprint::default()
    }

    /// Begins the exchanges of one request, or of several `POST`s to one raw path; one answer each.
    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError>;

    /// Goes on with an exchange; equal tokens with equal causes get equal answers.
    fn resume(&mut self, token: &Token, cause: Cause) -> Result<Answer, StepError>;

    /// Goes on when the outcome of a delivery is known.
    fn delivered(&mut self, token: &Token, outcome: &Outcome) -> Result<Worked, StepError>;

    /// Does one piece of background work.
    fn work(&mut self, round: u64) -> Result<Worked, StepError>;
}
