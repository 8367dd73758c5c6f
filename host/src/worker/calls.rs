//! Calls of an instance, and their results.

use crate::exchange::{Answer, Attempt, Cause, DeliveryResult, Request, StepError, Token};
use crate::length::Ticket;
use crate::store::ChangeNumber;
use crate::trace;
use tokio::sync::oneshot;

/// Answer of a step, with the number of the latest change before the step began.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The instance's answer.
    pub answer: Answer,
    /// The answer's waits are for changes after this one.
    pub noted: ChangeNumber,
}

/// Result of a step.
pub(crate) type StepResult = Result<Answered, StepError>;

/// Receiver for the result of a step.
pub(crate) type Pending = oneshot::Receiver<StepResult>;

/// Request that begins an exchange.
pub(super) struct Started {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<StepResult>,
    /// Whether this repeats a lost step of the request. Repeats of hurried steps do not count.
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

    /// Whether this is a read without a waiting client: it needs no answer.
    pub(super) fn is_moot(&self) -> bool {
        self.reply.is_closed() && self.request.parts.method.is_safe()
    }

    /// Whether a lost step of this request may run again. Clients request no change with a read,
    /// and a repeated read finds the remaining values.
    pub(super) fn may_repeat(&self) -> bool {
        !self.repeated && self.request.parts.method.is_safe()
    }
}

/// One call of the instance.
pub(super) enum Call {
    Start(Vec<Started>, Option<Attempt>),
    Resume(Token, Cause, trace::Cause, oneshot::Sender<StepResult>),
    Work(u64, Ticket, oneshot::Sender<bool>),
    Delivered(Token, DeliveryResult, Ticket, trace::Cause),
}
