//! The instances: some for short requests, and some for long ones.

use super::topics::Topics;
use super::webhooks::{Elsewhere, posting};
use crate::budget::{Budget, Pool, Rooms};
use crate::exchange::{PathHash, Request, StepError};
use crate::length::{Classifier, Length};
use crate::limits::LONG_ROOM;
use crate::outbound::Outbound;
use crate::store::Store;
use crate::worker::{Alarm, Factory, Worker};
use durable_streams_edge::limits::BODY_BUDGET;
use http::request::Parts;
use metrics::Histogram;
use std::sync::Arc;
use tokio::sync::watch;

/// Factories of the instances. Each kind needs at least one.
pub(crate) struct Factories {
    /// Factories of the instances for short requests.
    pub(crate) short: Vec<Factory>,
    /// Factories of the instances for long requests.
    pub(crate) long: Vec<Factory>,
}

/// Parts that all instances share.
pub(super) struct Common<'a> {
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) outbound: &'a Arc<Outbound>,
    pub(super) alarm: &'a Arc<Alarm>,
    pub(super) draining: &'a watch::Sender<bool>,
    pub(super) pool: &'a Arc<Pool>,
    /// Time to serve readers after a change.
    pub(super) wake: &'a Histogram,
}

/// Instance for short requests.
pub(super) struct Lane {
    pub(super) worker: Arc<Worker>,
    pub(super) topics: Arc<Topics>,
    /// Budget for the bodies that wait for this instance.
    bodies: Arc<Budget>,
}

/// Instance for long requests. Live reads continue on the instance for short requests to their
/// path.
struct LongLane {
    worker: Arc<Worker>,
    /// Budget for the bodies that wait for this instance.
    bodies: Arc<Budget>,
}

/// All instances.
pub(super) struct Lanes {
    short: Vec<Lane>,
    long: Vec<LongLane>,
    classifier: Arc<Classifier>,
}

impl Lanes {
    /// Creates one worker for each factory.
    pub(super) fn new(common: &Common<'_>, factories: Factories, base_path: &str) -> Self {
        let classifier = Arc::new(Classifier::new(base_path));
        let store = || Arc::clone(common.store);
        let alarm = || Arc::clone(common.alarm);
        let long = |factory| {
            let deliver = posting(common.outbound, None);
            LongLane {
                worker: Worker::apart(store(), factory, deliver, alarm()),
                bodies: Arc::new(Budget::new(LONG_ROOM)),
            }
        };
        let long: Vec<LongLane> = factories.long.into_iter().map(long).collect();
        let short = |(number, factory): (usize, Factory)| {
            let elsewhere = Elsewhere {
                classifier: Arc::clone(&classifier),
                worker: Arc::clone(&long[number % long.len()].worker),
            };
            let deliver = posting(common.outbound, Some(elsewhere));
            let worker = Worker::new(store(), factory, deliver, alarm());
            let (draining, pool) = (common.draining.subscribe(), Arc::clone(common.pool));
            Lane {
                topics: Topics::new(Arc::clone(&worker), draining, pool, common.wake.clone()),
                worker,
                bodies: Arc::new(Budget::new(BODY_BUDGET)),
            }
        };
        Self {
            short: factories.short.into_iter().enumerate().map(short).collect(),
            long,
            classifier,
        }
    }

    /// Starts all instances.
    pub(super) fn warm_up(&self) -> Result<(), StepError> {
        let long = self.long.iter().map(|lane| &lane.worker);
        let mut workers = self.short.iter().map(|lane| &lane.worker).chain(long);
        workers.try_for_each(|worker| worker.warm_up())
    }

    /// Instance for short requests to this path.
    pub(super) fn of(&self, path: PathHash) -> &Lane {
        &self.short[path.index(self.short.len())]
    }

    fn long_of(&self, path: PathHash) -> &LongLane {
        &self.long[path.index(self.long.len())]
    }

    /// Budgets for the body of a request to this path.
    pub(super) fn rooms(&self, request: &Parts, path: PathHash) -> Rooms {
        Rooms {
            short: Arc::clone(&self.of(path).bodies),
            long: Arc::clone(&self.long_of(path).bodies),
            long_from: self.classifier.long_from(request, path.value()),
        }
    }

    /// Worker for a request. Stores the request's ticket in the request.
    pub(super) fn worker(&self, request: &mut Request) -> &Arc<Worker> {
        let (path, body) = (request.path_hash, request.body.len());
        let class = self.classifier.classify(&request.parts, path.value(), body);
        request.ticket = class.ticket;
        match class.length {
            Length::Short => &self.of(path).worker,
            Length::Long => &self.long_of(path).worker,
        }
    }

    /// Whether an instance for short requests is idle.
    pub(super) fn has_idle(&self) -> bool {
        self.short.iter().any(|lane| !lane.worker.is_busy())
    }

    /// Does one piece of background work, on an idle instance if there is one. Returns whether
    /// there may be more.
    pub(super) async fn work(&self, round: u64) -> bool {
        let class = self.classifier.work();
        let mut workers = self.short.iter().map(|lane| &lane.worker);
        let worker = match class.length {
            Length::Long => self.long.first().map(|lane| &lane.worker),
            Length::Short => {
                let idle = workers.clone().find(|worker| !worker.is_busy());
                idle.or_else(|| workers.next())
            }
        };
        match worker {
            Some(worker) => worker.work(round, class.ticket).await,
            None => false,
        }
    }

    /// Number of calls that wait for the instances for short requests, and for the others.
    pub(super) fn queued(&self) -> [usize; 2] {
        let short = self.short.iter().map(|lane| lane.worker.queued());
        let long = self.long.iter().map(|lane| lane.worker.queued());
        [short.sum(), long.sum()]
    }

    /// Number of keys that readers wait for.
    #[cfg(test)]
    pub(super) fn waited_keys(&self) -> usize {
        self.short.iter().map(|lane| lane.topics.len()).sum()
    }
}
