//! A worker: one instance and the steps that wait for it.

use super::alarm::Alarm;
use super::calls::{Answered, Call, Pending, Started};
use super::jobs::Jobs;
use super::slot::{Factory, Slot};
use super::unsettled::Unsettled;
use crate::exchange::{
    Answer, Attempt, Cause, Delivery, Next, Outcome, Request, Retry, StepError, Token, Worked,
};
use crate::store::{ChangeNumber, Lost, Store};
use crate::vital;
use crate::wasi::Footprint;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Steps of one burst: a millisecond or so, after which their answers may leave.
const BURST: usize = 64;
/// Times that a step is done again for what is not in memory; after that it waits where it is.
const HURRIED: u8 = 8;

#[derive(Default)]
struct Queue {
    jobs: Jobs,
    /// A task runs the jobs, and will look here again before it ends.
    running: bool,
}

/// Takes a delivery that a step asks for. Its result comes back through [`Worker::delivered`].
pub(crate) type Deliver = Box<dyn Fn(&Arc<Worker>, Delivery) + Send + Sync>;

/// An instance and its queue.
pub(crate) struct Worker {
    store: Arc<dyn Store>,
    queue: Mutex<Queue>,
    slot: Slot,
    deliver: Deliver,
    alarm: Arc<Alarm>,
    unsettled: Arc<Unsettled>,
}

impl Worker {
    /// A worker whose instance is started with the first step. Its deliveries go to `deliver`, and
    /// the time when something is due to `alarm`.
    #[must_use]
    pub(crate) fn new(
        store: Arc<dyn Store>,
        factory: Factory,
        deliver: Deliver,
        alarm: Arc<Alarm>,
    ) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::new(Arc::clone(&store), factory),
            store,
            deliver,
            alarm,
            queue: Mutex::default(),
            unsettled: Arc::default(),
        })
    }

    /// The store that the instance sees.
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

    /// Begins an exchange. Dropping the receiver does not stop a write that was queued.
    pub(crate) fn start(self: &Arc<Self>, request: Request) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push(|jobs| jobs.push_start(Started::new(request, reply)));
        pending
    }

    /// Goes on with an exchange.
    pub(crate) fn resume(self: &Arc<Self>, token: Token, cause: Cause) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push_call(Call::Resume(token, cause, reply), 0);
        pending
    }

    /// Tells the instance the result of a delivery.
    pub(crate) fn delivered(self: &Arc<Self>, token: Token, outcome: Outcome) {
        self.push_call(Call::Delivered(token, outcome), 0);
    }

    /// Whether there are steps to run.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        self.queue().running
    }

    /// Does a piece of background work, after the steps that wait by now; says whether there may be
    /// more.
    pub(crate) async fn work(self: &Arc<Self>, round: u64) -> bool {
        let (reply, pending) = oneshot::channel();
        self.push_call(Call::Work(round, reply), 0);
        pending.await.unwrap_or(false)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push_call(self: &Arc<Self>, call: Call, again: u8) {
        self.push(|jobs| jobs.push_call(call, again));
    }

    fn push(self: &Arc<Self>, add: impl FnOnce(&mut Jobs)) {
        let mut queue = self.queue();
        add(&mut queue.jobs);
        if !std::mem::replace(&mut queue.running, true) {
            drop(queue);
            tokio::spawn(vital::task(
                "the task of an instance",
                Arc::clone(self).run(),
            ));
        }
    }

    /// Runs jobs until there are none.
    async fn run(self: Arc<Self>) {
        // A step's answer may be for a task that only this thread can run.
        let burst = if self.store.blocks() { 1 } else { BURST };
        loop {
            // Behind all tasks that are ready now.
            tokio::task::yield_now().await;
            for _ in 0..burst {
                let call = {
                    let mut queue = self.queue();
                    let call = queue.jobs.next();
                    queue.running = call.is_some();
                    call
                };
                match call {
                    Some((call, again)) => self.call(call, again),
                    None => return,
                }
            }
        }
    }

    fn call(self: &Arc<Self>, call: Call, again: u8) {
        let noted = self.store.latest_change();
        let hurried = again < HURRIED;
        match call {
            Call::Start(started, attempt) => {
                let requests: Vec<&Request> = started.iter().map(|one| &one.request).collect();
                let step = self
                    .slot
                    .step(hurried, |steps| steps.start(&requests, attempt.as_ref()));
                let (result, footprint) = step;
                if !footprint.missed.is_empty() {
                    return self.load(footprint.missed, Call::Start(started, attempt), again);
                }
                self.settled(footprint, move |worker, settled| {
                    match settled.and(result) {
                        Ok(mut answers) => {
                            for answer in &mut answers {
                                worker.hand_up(std::mem::take(&mut answer.effects));
                            }
                            worker.hand_out(started, answers, noted);
                        }
                        Err(error) => worker.failed(started, attempt, error),
                    }
                });
            }
            Call::Resume(token, cause, reply) => {
                // The client left.
                if reply.is_closed() {
                    return;
                }
                let (result, footprint) =
                    self.slot.step(hurried, |steps| steps.resume(&token, cause));
                if !footprint.missed.is_empty() {
                    return self.load(footprint.missed, Call::Resume(token, cause, reply), again);
                }
                self.settled(footprint, move |worker, settled| {
                    let answered = |mut answer: Answer| {
                        worker.hand_up(std::mem::take(&mut answer.effects));
                        Answered { answer, noted }
                    };
                    let _ = reply.send(settled.and(result).map(answered));
                });
            }
            Call::Work(round, reply) => {
                let (result, footprint) = self.slot.step(hurried, |steps| steps.work(round));
                if !footprint.missed.is_empty() {
                    return self.load(footprint.missed, Call::Work(round, reply), again);
                }
                self.settled(footprint, move |worker, settled| {
                    // What is due, and what failed, is told by later pieces of work too.
                    let worked = settled.and(result).unwrap_or_default();
                    let _ = reply.send(worked.worked);
                    worker.worked(worked);
                });
            }
            Call::Delivered(token, outcome) => {
                let (result, footprint) = self
                    .slot
                    .step(hurried, |steps| steps.delivered(&token, &outcome));
                if !footprint.missed.is_empty() {
                    return self.load(footprint.missed, Call::Delivered(token, outcome), again);
                }
                self.settled(footprint, move |worker, settled| {
                    worker.worked(settled.and(result).unwrap_or_default());
                });
            }
        }
    }

    /// Goes on when the changes in a footprint have settled: at once, if they have.
    fn settled(
        self: &Arc<Self>,
        footprint: Footprint,
        then: impl FnOnce(&Arc<Self>, Result<(), StepError>) + Send + 'static,
    ) {
        let (worker, settle) = (Arc::clone(self), self.store.settle(footprint.change));
        let then = move |outcome: Result<(), Lost>| {
            let judged = footprint.judge(&*worker.store, outcome);
            then(&worker, judged.map_err(StepError::Lost));
        };
        self.unsettled.when(settle, then);
    }

    fn worked(self: &Arc<Self>, worked: Worked) {
        self.alarm.set(worked.due_ms);
        self.hand_up(worked.effects);
    }

    fn hand_up(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            (self.deliver)(self, delivery);
        }
    }

    /// Has keys loaded where waiting does no harm, and the call done again.
    fn load(self: &Arc<Self>, missed: Vec<Box<str>>, call: Call, again: u8) {
        let worker = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            for key in missed {
                // The step that needs it gets the error.
                let _ = worker.store.get(&key);
            }
            worker.push_call(call, again.saturating_add(1));
        });
    }

    /// A step has no answers: its requests get the error, or the step is repeated once.
    fn failed(
        self: &Arc<Self>,
        mut started: Vec<Started>,
        attempt: Option<Attempt>,
        error: StepError,
    ) {
        let is_lost = matches!(error, StepError::Lost(_));
        if is_lost && started.iter().all(Started::may_repeat) {
            started.iter_mut().for_each(|one| one.repeated = true);
            return self.push_call(Call::Start(started, attempt), 0);
        }
        let error = match attempt {
            Some(_) => of_later_step(error),
            None => error,
        };
        for one in started {
            // A client that left waits for no answer.
            let _ = one.reply.send(Err(error.clone()));
        }
    }

    /// Hands out answers; those that ask for it are started again together, in their order.
    fn hand_out(
        self: &Arc<Self>,
        started: Vec<Started>,
        answers: Vec<Answer>,
        noted: ChangeNumber,
    ) {
        let mut again: Option<Retry> = None;
        let mut kept = Vec::new();
        for (one, answer) in started.into_iter().zip(answers) {
            if let Next::Again(retry) = answer.next {
                again.get_or_insert(retry);
                kept.push(one);
            } else {
                let _ = one.reply.send(Ok(Answered { answer, noted }));
            }
        }
        if let Some(Retry { wait, attempt }) = again {
            let worker = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                worker.push_call(Call::Start(kept, Some(attempt)), 0);
            });
        }
    }
}

/// Why an exchange has no answer whose earlier steps had some. What they wrote is kept, and may be
/// all that was asked for: that this step did nothing says nothing of the exchange.
fn of_later_step(error: StepError) -> StepError {
    match error {
        StepError::Broken(why) | StepError::NoInstance(why) => StepError::Broken(why),
        StepError::Lost(_) => StepError::Lost(Lost::NotConfirmed),
    }
}
