//! Pinned instances and the queues before them.
//!
//! A worker is one instance and the steps that wait for it. Who brings a step only queues it; a task
//! that lives as long as there are steps runs them, and lets every connection that has something to
//! say go first. So steps run in bursts, and what can be started together is. The bursts are what
//! makes a step cheap: the code of a connection and that of a step do not fit into a core's caches
//! together, and running them by turns for each request took half as much CPU again (measured with
//! 32 connections: 73 us an append, 45 us in bursts).
//!
//! What a step says is handed out when everything that it met in the store has settled. A step that
//! would have to wait for the disk before it wrote anything is done again after the wait, which
//! happens elsewhere.

mod alarm;
#[cfg(test)]
pub(crate) mod fake;
mod guest;
mod jobs;
mod unsettled;

pub use alarm::Alarm;
pub use guest::Instance;

use crate::budget::Budget;
use crate::exchange::{
    Answer, Attempt, Cause, Delivery, Next, Outcome as Delivered, Request, Retry, StepError, Steps,
    Token, Worked,
};
use crate::outbound::Outbound;
use crate::store::{ChangeNumber, Lost, Store};
use crate::telemetry;
use crate::vital;
use crate::wasi::Met;
use durable_streams_edge::limits::BODY_BUDGET;
use jobs::{Batch, Jobs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use unsettled::Unsettled;

/// Steps of one burst: a millisecond or so, after which their answers may leave.
const BURST: usize = 64;
/// Times that a step is done again for what is not in memory; after that it waits where it is.
const HURRIED: u8 = 8;

/// The answer of a step, with the number of the latest change before the step began.
#[derive(Debug)]
pub struct Answered {
    /// What the instance said.
    pub answer: Answer,
    /// Waits that the answer asks for are for changes after this one.
    pub noted: ChangeNumber,
}

/// What becomes of a step.
pub type Outcome = Result<Answered, StepError>;

/// Where the answer of a step will be.
pub type Pending = oneshot::Receiver<Outcome>;

/// Makes the instances of a worker.
pub type Factory = Box<dyn Fn() -> Result<Box<dyn Steps>, StepError> + Send + Sync>;

struct Started {
    request: Request,
    reply: oneshot::Sender<Outcome>,
    /// A step of it was lost, and this is the one instead. Not counted with those that are hurried.
    repeated: bool,
}

impl Started {
    const fn new(request: Request, reply: oneshot::Sender<Outcome>) -> Self {
        Self {
            request,
            reply,
            repeated: false,
        }
    }

    /// Whether a step of it that was lost is done once more: a read changes nothing that its client
    /// asked for, and what it reads is there without that.
    fn may_repeat(&self) -> bool {
        !self.repeated && self.request.parts.method.is_safe()
    }
}

/// One call of the instance.
enum Call {
    Start(Vec<Started>, Option<Attempt>),
    Resume(Token, Cause, oneshot::Sender<Outcome>),
    Work(u64, oneshot::Sender<bool>),
    Delivered(Token, Delivered),
}

enum Job {
    Start(Batch),
    /// A call, and how often it was done before.
    Call(Call, u8),
}

#[derive(Default)]
struct Queue {
    jobs: Jobs,
    /// Somebody runs the jobs, and will look here again before stopping.
    running: bool,
}

/// An instance that began after so many losses of the store; it knows nothing of what was lost.
struct Slot {
    losses: u64,
    steps: Box<dyn Steps>,
}

/// An instance and its queue.
pub struct Worker {
    store: Arc<dyn Store>,
    factory: Factory,
    queue: Mutex<Queue>,
    /// Locked by who runs the jobs, for as long as a step takes.
    instance: Mutex<Option<Slot>>,
    /// Sends what the instance wants sent.
    outbound: Arc<Outbound>,
    alarm: Arc<Alarm>,
    unsettled: Arc<Unsettled>,
    /// The bodies that this instance's requests buffer.
    pub bodies: Arc<Budget>,
}

impl Worker {
    /// A worker whose instance is started with the first step. What it says is due is told to
    /// `alarm`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        factory: Factory,
        outbound: Arc<Outbound>,
        alarm: Arc<Alarm>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            factory,
            outbound,
            alarm,
            queue: Mutex::default(),
            instance: Mutex::new(None),
            unsettled: Arc::default(),
            bodies: Arc::new(Budget::new(BODY_BUDGET)),
        })
    }

    /// The store that the instance sees.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Starts an instance now rather than with the first step.
    ///
    /// # Errors
    ///
    /// [`StepError::NoInstance`], with the reason.
    pub fn warm_up(&self) -> Result<(), StepError> {
        let mut instance = self.instance();
        if instance.is_none() {
            *instance = Some(self.new_instance()?);
        }
        Ok(())
    }

    /// Begins an exchange. Dropping the receiver does not stop a write that was queued.
    pub fn start(self: &Arc<Self>, request: Request) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push(|jobs| jobs.push_start(Started::new(request, reply)));
        pending
    }

    /// Goes on with an exchange.
    pub fn resume(self: &Arc<Self>, token: Token, cause: Cause) -> Pending {
        let (reply, pending) = oneshot::channel();
        self.push_call(Call::Resume(token, cause, reply), 0);
        pending
    }

    /// Whether there are steps to run.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.queue().running
    }

    /// Does a piece of background work, after the steps that wait by now; says whether there may be
    /// more.
    pub async fn work(self: &Arc<Self>, round: u64) -> bool {
        let (reply, pending) = oneshot::channel();
        self.push_call(Call::Work(round, reply), 0);
        pending.await.unwrap_or(false)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self) -> MutexGuard<'_, Option<Slot>> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_instance(&self) -> Result<Slot, StepError> {
        // First the number, so that what is lost meanwhile is not missed.
        let losses = self.store.losses();
        let steps = (self.factory)()?;
        Ok(Slot { losses, steps })
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
        // What a step has to say may be for a task that only this thread can run.
        let burst = if self.store.blocks() { 1 } else { BURST };
        loop {
            // Behind everyone who is ready now.
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
                let step = self.step(hurried, |steps| steps.start(&requests, attempt.as_ref()));
                let (result, met) = step;
                if !met.missed.is_empty() {
                    return self.load(met.missed, Call::Start(started, attempt), again);
                }
                self.settled(met, move |worker, settled| match settled.and(result) {
                    Ok(mut answers) => {
                        for answer in &mut answers {
                            worker.dispatch(std::mem::take(&mut answer.effects));
                        }
                        worker.deliver(started, answers, noted);
                    }
                    Err(error) => worker.failed(started, attempt, error),
                });
            }
            Call::Resume(token, cause, reply) => {
                // Nobody is left to read on.
                if reply.is_closed() {
                    return;
                }
                let (result, met) = self.step(hurried, |steps| steps.resume(&token, cause));
                if !met.missed.is_empty() {
                    return self.load(met.missed, Call::Resume(token, cause, reply), again);
                }
                self.settled(met, move |worker, settled| {
                    let answered = |mut answer: Answer| {
                        worker.dispatch(std::mem::take(&mut answer.effects));
                        Answered { answer, noted }
                    };
                    let _ = reply.send(settled.and(result).map(answered));
                });
            }
            Call::Work(round, reply) => {
                let (result, met) = self.step(hurried, |steps| steps.work(round));
                if !met.missed.is_empty() {
                    return self.load(met.missed, Call::Work(round, reply), again);
                }
                self.settled(met, move |worker, settled| {
                    // What is due, and what failed, is told by later pieces of work too.
                    let worked = settled.and(result).unwrap_or_default();
                    let _ = reply.send(worked.worked);
                    worker.worked(worked);
                });
            }
            Call::Delivered(token, outcome) => {
                let (result, met) = self.step(hurried, |steps| steps.delivered(&token, &outcome));
                if !met.missed.is_empty() {
                    return self.load(met.missed, Call::Delivered(token, outcome), again);
                }
                self.settled(met, move |worker, settled| {
                    worker.worked(settled.and(result).unwrap_or_default());
                });
            }
        }
    }

    /// Runs one step, on a new instance if there is none; one that broke, or that may know of what
    /// was lost, is not used again.
    fn step<T>(
        &self,
        hurried: bool,
        step: impl FnOnce(&mut dyn Steps) -> Result<T, StepError>,
    ) -> (Result<T, StepError>, Met) {
        let mut place = self.instance();
        if place
            .as_ref()
            .is_some_and(|slot| slot.losses != self.store.losses())
        {
            *place = None;
        }
        let slot = match &mut *place {
            Some(slot) => slot,
            None => match self.new_instance() {
                Ok(slot) => place.insert(slot),
                Err(error) => return (Err(error), Met::default()),
            },
        };
        slot.steps.begin(hurried);
        let result = step(slot.steps.as_mut());
        let met = slot.steps.end();
        if let Err(error) = &result {
            telemetry::instance_broke(&error.to_string());
            *place = None;
        }
        (result, met)
    }

    /// Goes on when what a step met has settled: at once, if it has.
    fn settled(
        self: &Arc<Self>,
        met: Met,
        then: impl FnOnce(&Arc<Self>, Result<(), StepError>) + Send + 'static,
    ) {
        let (worker, settle) = (Arc::clone(self), self.store.settle(met.change));
        let then = move |outcome: Result<(), Lost>| {
            let judged = met.judge(&*worker.store, outcome);
            then(&worker, judged.map_err(StepError::Lost));
        };
        self.unsettled.when(settle, then);
    }

    fn worked(self: &Arc<Self>, worked: Worked) {
        self.alarm.set(worked.due_ms);
        self.dispatch(worked.effects);
    }

    /// Sends requests, and tells the instance what became of them.
    fn dispatch(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let worker = Arc::clone(self);
            tokio::spawn(async move {
                let Delivery {
                    url,
                    headers,
                    body,
                    timeout,
                    token,
                } = delivery;
                let posted = worker.outbound.post(&url, &headers, body, timeout).await;
                let outcome = match posted {
                    Ok(answered) => Delivered::Answered(answered.status.as_u16(), answered.body),
                    Err(error) => {
                        telemetry::warn("webhook not delivered", &error.to_string());
                        Delivered::Failed
                    }
                };
                worker.push_call(Call::Delivered(token, outcome), 0);
            });
        }
    }

    /// Has keys loaded where waiting does no harm, and the call done again.
    fn load(self: &Arc<Self>, missed: Vec<Box<str>>, call: Call, again: u8) {
        let worker = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            for key in missed {
                // What can't be read will be told to the step that asks for it.
                let _ = worker.store.get(&key);
            }
            worker.push_call(call, again.saturating_add(1));
        });
    }

    /// A step has no answers: who started it is told why, or it is done once more.
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
            // Nobody waits for the answer of a client that left.
            let _ = one.reply.send(Err(error.clone()));
        }
    }

    /// Hands out answers; those that ask for it are started again together, in their order.
    fn deliver(self: &Arc<Self>, started: Vec<Started>, answers: Vec<Answer>, noted: ChangeNumber) {
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

#[cfg(test)]
mod tests;
