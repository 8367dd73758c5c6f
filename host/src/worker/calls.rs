//! Calls of an instance, and their results.

use crate::exchange::{Answer, Attempt, Cause, Outcome, Request, StepError, Token};
use crate::length::Ticket;
use crate::store::ChangeNumber;
use tokio::sync::oneshot;

/// The answer of a step, with the number of the latest change before the step began.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What the instance said.
    pub answer: Answer,
    /// Waits that the answer asks for are for changes after this one.
    pub noted: ChangeNumber,
}

/// Result of a step.
pub(crate) type StepResult = Result<Answered, StepError>;

/// Where the answer of a step will be.
pub(crate) type Pending = oneshot::Receiver<StepResult>;

/// A request whose exchange begins.
pub(super) struct Started {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<StepResult>,
    /// A step of it was lost, and this is the one instead. Not counted with those that are hurried.
    pub(super) repeated: bool,
}

impl Started {
    pub(super) const fn new(request: Request, reply: oneshot::Sender<StepResult>) -> Self {
        Self {
            request,
            reply,
            repeated: false,
        }
    }

    /// Whether a step of it that was lost is done once more: a read changes nothing that its client
    /// asked for, and what it reads is there without that.
    pub(super) fn may_repeat(&self) -> bool {
        !self.repeated && self.request.parts.method.is_safe()
    }
}

/// One call of the instance.
pub(super) enum Call {
    Start(Vec<Started>, Option<Attempt>),
    Resume(Token, Cause, oneshot::Sender<StepResult>),
    Work(u64, Ticket, oneshot::Sender<bool>),
    Delivered(Token, Outcome, Ticket),
}
