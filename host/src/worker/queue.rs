//! A worker: one instance and the steps that wait for it.

use super::alarm::Alarm;
use super::apart;
use super::calls::{Call, Pending, Started};
use super::jobs::Jobs;
use super::slot::Slot;
use super::unsettled::Unsettled;
use crate::exchange::{Cause, Delivery, DeliveryResult, Request, StepError, Token};
use crate::length::Ticket;
use crate::store::Store;
use crate::trace;
use crate::vital;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Steps of one burst: about a millisecond, after which their answers may leave.
const BURST: usize = 64;

/// Jobs of a worker.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Jobs,
    /// Whether a task runs the jobs. The task checks the queue again before it ends.
    running: bool,
}

/// Takes a delivery that a step requests. The delivery's result comes back through
/// [`Worker::delivered`].
pub(crate) type Deliver = Box<dyn Fn(&Arc<Worker>, Delivery) + Send + Sync>;

/// Instance and its queue.
pub(crate) struct Worker {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: Mutex<Queue>,
    /// Runs the step of a call. The number says how often the step was repeated.
    pub(super) step: fn(&Arc<Self>, Call, u8),
    pub(super) slot: Slot,
    pub(super) deliver: Deliver,
    pub(super) alarm: Arc<Alarm>,
    pub(super) unsettled: Arc<Unsettled>,
    /// Whether steps run on a thread of their own.
    pub(super) apart: bool,
}

impl Worker {
    /// Returns the instance's store.
    #[must_use]
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Starts an instance now rather than with the first step.
    ///
    /// # Errors
    ///
    /// [`StepError::NoInstance`], with the reason.
    pub(crate) fn warm_up(&self) -> Result<(), StepError> {
        self.slot.warm_up()
    }

    /// Begins an exchange. Dropping the receiver does not stop a queued write.
    pub(crate) fn start(self: &Arc<Self>, request: Request) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push(|jobs| jobs.push_start(Started::new(request, reply)));
        pending
    }

    /// Continues an exchange.
    pub(crate) fn resume(self: &Arc<Self>, token: Token, cause: Cause) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push_call(
            Call::Resume(token, cause, trace::Cause::current(), reply),
            0,
        );
        pending
    }

    /// Passes the result of a delivery to the instance.
    pub(crate) fn delivered(
        self: &Arc<Self>,
        token: Token,
        outcome: DeliveryResult,
        ticket: Ticket,
    ) {
        let call = Call::Delivered(token, outcome, ticket, trace::Cause::current());
        self.push_call(call, 0);
    }

    /// Whether there are steps to run.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        self.queue().running
    }

    /// Number of calls that wait.
    #[must_use]
    pub(crate) fn queued(&self) -> usize {
        self.queue().jobs.len()
    }

    /// Does one piece of background work, after the steps already queued. Returns whether there may
    /// be more.
    pub(crate) async fn work(self: &Arc<Self>, round: u64, ticket: Ticket) -> bool {
        let (reply, pending) = oneshot::channel();
        self.push_call(Call::Work(round, ticket, reply), 0);
        pending.await.unwrap_or(false)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push_call(self: &Arc<Self>, call: Call, again: u8) {
        self.push(|jobs| jobs.push_call(call, again));
    }

    fn push(self: &Arc<Self>, add: impl FnOnce(&mut Jobs)) {
        let mut queue = self.queue();
        add(&mut queue.jobs);
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            self.begin();
        }
    }

    fn begin(self: &Arc<Self>) {
        let worker = Arc::clone(self);
        let run = move || while worker.run_next() {};
        if self.apart && apart::run("the thread of long steps", run) {
            return;
        }
        let task = Arc::clone(self).run();
        tokio::spawn(vital::task("the task of an instance", task));
    }

    /// Runs the next job, if there is one.
    fn run_next(self: &Arc<Self>) -> bool {
        let call = {
            let mut queue = self.queue();
            let call = queue.jobs.next();
            queue.running = call.is_some();
            call
        };
        let is_one = call.is_some();
        if let Some((call, again)) = call {
            (self.step)(self, call, again);
        }
        is_one
    }

    /// Runs jobs until there are none.
    async fn run(self: Arc<Self>) {
        // A step's answer may be for a task that only this thread can run.
        let burst = if self.store.blocks() { 1 } else { BURST };
        loop {
            // Lets all ready tasks go first.
            tokio::task::yield_now().await;
            for _ in 0..burst {
                if !self.run_next() {
                    return;
                }
            }
        }
    }
}
