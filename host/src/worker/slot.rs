//! The instance of a worker, and its replacement.

use crate::exchange::{StepError, Steps};
use crate::store::Store;
use crate::telemetry;
use crate::wasi::Footprint;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Creates the instances of a worker.
pub(crate) type Factory = Box<dyn Fn() -> Result<Box<dyn Steps>, StepError> + Send + Sync>;

/// An instance, with the state of the store before its start.
struct Begun {
    /// Number of losses. The instance has read no change lost before.
    losses: u64,
    /// Since when the store serves, which the instance has as a variable.
    serving_since_ms: u64,
    steps: Box<dyn Steps>,
}

/// The place of an instance. It is locked during a step.
pub(super) struct Slot {
    store: Arc<dyn Store>,
    factory: Factory,
    instance: Mutex<Option<Begun>>,
}

impl Slot {
    /// An empty place. The first step starts an instance.
    pub(super) fn new(store: Arc<dyn Store>, factory: Factory) -> Self {
        Self {
            store,
            factory,
            instance: Mutex::new(None),
        }
    }

    /// Starts an instance, if there is none.
    pub(super) fn warm_up(&self) -> Result<(), StepError> {
        let mut instance = self.instance();
        if instance.is_none() {
            *instance = Some(self.begin()?);
        }
        Ok(())
    }

    fn instance(&self) -> MutexGuard<'_, Option<Begun>> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Result<Begun, StepError> {
        // The number is read first, so that a loss during the start is noticed.
        let losses = self.store.losses();
        let serving_since_ms = self.store.serving_since_ms();
        let steps = (self.factory)()?;
        Ok(Begun {
            losses,
            serving_since_ms,
            steps,
        })
    }

    /// Runs one step, on a new instance if there is none. An instance is replaced after it broke,
    /// after a loss of the store, as it may hold lost data, after an absence of the store, as it
    /// would judge leases by an earlier time, and after a change of the variables.
    pub(super) fn step<T>(
        &self,
        hurried: bool,
        step: impl FnOnce(&mut dyn Steps) -> Result<T, StepError>,
    ) -> (Result<T, StepError>, Footprint) {
        let mut place = self.instance();
        let is_old = |begun: &Begun| {
            begun.losses != self.store.losses()
                || begun.serving_since_ms != self.store.serving_since_ms()
                || begun.steps.is_outdated()
        };
        if place.as_ref().is_some_and(is_old) {
            *place = None;
        }
        let begun = match &mut *place {
            Some(begun) => begun,
            None => match self.begin() {
                Ok(begun) => place.insert(begun),
                Err(error) => return (Err(error), Footprint::default()),
            },
        };
        begun.steps.begin(hurried);
        let result = step(begun.steps.as_mut());
        let footprint = begun.steps.end();
        if let Err(error) = &result {
            telemetry::instance_broke(&error.to_string());
            *place = None;
        }
        (result, footprint)
    }
}
