//! A worker and its steps: the worker runs each step, waits for its changes to settle, and delivers
//! its answers.

use super::alarm::Alarm;
use super::calls::{Answered, Call, Started};
use super::queue::{Deliver, Worker};
use super::slot::{Factory, Slot};
use crate::exchange::{Answer, Attempt, Delivery, Next, Request, Retry, StepError, Steps, Worked};
use crate::store::{ChangeNumber, Lost, Store};
use crate::trace::{Causes, Work};
use crate::wasi::Footprint;
use std::sync::{Arc, Mutex};

/// Number of repeats of a step for values that are not in memory; after that the step waits for the
/// disk.
const HURRIED: u8 = 8;

impl Worker {
    /// Creates a worker that starts its instance with the first step. The worker's deliveries go to
    /// `deliver`, and the times of due work to `alarm`.
    #[must_use]
    pub(crate) fn new(
        store: Arc<dyn Store>,
        factory: Factory,
        deliver: Deliver,
        alarm: Arc<Alarm>,
    ) -> Arc<Self> {
        Arc::new(Self::with(store, factory, deliver, alarm))
    }

    /// Creates a worker for long steps, which run on a thread of their own.
    #[must_use]
    pub(crate) fn apart(
        store: Arc<dyn Store>,
        factory: Factory,
        deliver: Deliver,
        alarm: Arc<Alarm>,
    ) -> Arc<Self> {
        let worker = Self::with(store, factory, deliver, alarm);
        Arc::new(Self {
            apart: true,
            ..worker
        })
    }

    fn with(store: Arc<dyn Store>, factory: Factory, deliver: Deliver, alarm: Arc<Alarm>) -> Self {
        Self {
            slot: Slot::new(Arc::clone(&store), factory),
            store,
            deliver,
            alarm,
            queue: Mutex::default(),
            step: Self::call,
            unsettled: Arc::default(),
            apart: false,
        }
    }

    /// Runs the step of a call.
    fn call(self: &Arc<Self>, call: Call, again: u8) {
        let noted = self.store.latest_change();
        let hurried = again < HURRIED;
        match call {
            Call::Start(started, attempt) => {
                let causes = Causes::requests(started.iter().map(|one| &one.request.parts));
                let requests: Vec<&Request> = started.iter().map(|one| &one.request).collect();
                let start = |steps: &mut dyn Steps| steps.start(&requests, attempt.as_ref());
                let (result, footprint) = causes.step("start", || self.slot.step(hurried, start));
                if !footprint.missed.is_empty() {
                    let call = Call::Start(started, attempt);
                    return self.load(footprint.missed, call, &causes, again);
                }
                for one in &started {
                    one.request.ticket.note(footprint.calls);
                }
                self.settled(footprint, causes, move |worker, settled| {
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
            Call::Resume(token, cause, caused, reply) => {
                // The client left.
                if reply.is_closed() {
                    return;
                }
                let causes = Causes::one(caused.clone());
                let resume = |steps: &mut dyn Steps| steps.resume(&token, cause);
                let (result, footprint) = causes.step("resume", || self.slot.step(hurried, resume));
                if !footprint.missed.is_empty() {
                    let call = Call::Resume(token, cause, caused, reply);
                    return self.load(footprint.missed, call, &causes, again);
                }
                self.settled(footprint, causes, move |worker, settled| {
                    let answered = |mut answer: Answer| {
                        worker.hand_up(std::mem::take(&mut answer.effects));
                        Answered { answer, noted }
                    };
                    let _ = reply.send(settled.and(result).map(answered));
                });
            }
            Call::Work(round, ticket, reply) => {
                let span = Work::begin();
                let causes = Causes::one(span.cause());
                let work = |steps: &mut dyn Steps| steps.work(round);
                let (result, footprint) = {
                    let _entered = causes.enter();
                    self.slot.step(hurried, work)
                };
                if !footprint.missed.is_empty() {
                    span.end(false);
                    let call = Call::Work(round, ticket, reply);
                    return self.load(footprint.missed, call, &Causes::default(), again);
                }
                ticket.note(footprint.calls);
                self.settled(footprint, causes, move |worker, settled| {
                    // Later pieces of work report due times and failures again.
                    let worked = settled.and(result).unwrap_or_default();
                    span.end(worked.worked || !worked.effects.is_empty());
                    let _ = reply.send(worked.worked);
                    worker.worked(worked);
                });
            }
            Call::Delivered(token, outcome, ticket, caused) => {
                let causes = Causes::one(caused.clone());
                let delivered = |steps: &mut dyn Steps| steps.delivered(&token, &outcome);
                let (result, footprint) =
                    causes.step("delivered", || self.slot.step(hurried, delivered));
                if !footprint.missed.is_empty() {
                    let call = Call::Delivered(token, outcome, ticket, caused);
                    return self.load(footprint.missed, call, &causes, again);
                }
                ticket.note(footprint.calls);
                self.settled(footprint, causes, move |worker, settled| {
                    worker.worked(settled.and(result).unwrap_or_default());
                });
            }
        }
    }

    /// Continues once the changes in a footprint have settled, which may be at once.
    fn settled(
        self: &Arc<Self>,
        footprint: Footprint,
        causes: Causes,
        then: impl FnOnce(&Arc<Self>, Result<(), StepError>) + Send + 'static,
    ) {
        let (worker, settle) = (Arc::clone(self), self.store.settle(footprint.change));
        let waiting = settle.known().is_none().then(|| causes.settling());
        let then = move |outcome: Result<(), Lost>| {
            drop(waiting);
            let _entered = causes.enter();
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

    /// Loads keys on a thread that may block, and then repeats the call.
    fn load(self: &Arc<Self>, missed: Vec<Box<str>>, call: Call, causes: &Causes, again: u8) {
        let worker = Arc::clone(self);
        let loading = causes.loading(missed.len());
        tokio::task::spawn_blocking(move || {
            for key in missed {
                // The step that needs the key gets the error.
                let _ = worker.store.get(&key);
            }
            drop(loading);
            worker.push_call(call, again.saturating_add(1));
        });
    }

    /// Handles a step without answers: its requests get the error, or the step is repeated once.
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

    /// Delivers answers. Requests that ask for a retry start again together, in their order. A read
    /// without a waiting client does not: it may need thousands of steps.
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
                kept.retain(|one| !one.is_moot());
                if !kept.is_empty() {
                    worker.push_call(Call::Start(kept, Some(attempt)), 0);
                }
            });
        }
    }
}

/// Error of an exchange after the failure of a later step. Writes of the earlier steps are kept,
/// and may be all that the client requested. So a failed step without an effect does not mean an
/// exchange without one.
fn of_later_step(error: StepError) -> StepError {
    match error {
        StepError::Broken(why) | StepError::NoInstance(why) => StepError::Broken(why),
        StepError::Lost(_) => StepError::Lost(Lost::NotConfirmed),
    }
}
