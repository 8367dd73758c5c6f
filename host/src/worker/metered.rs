//! An instance whose steps are measured, for `/metrics`.

use crate::exchange::{
    Answer, Attempt, Cause, DeliveryResult, Request, StepError, Steps, Token, Worked,
};
use crate::meters::StepMeters;
use crate::wasi::Footprint;
use metrics::Histogram;
use std::sync::Arc;
use std::time::Instant;

/// Measures the steps of an instance.
pub(crate) struct MeteredSteps {
    steps: Box<dyn Steps>,
    meters: Arc<StepMeters>,
}

impl MeteredSteps {
    /// Wraps an instance that was just started.
    pub(crate) fn new(steps: Box<dyn Steps>, meters: Arc<StepMeters>) -> Self {
        meters.started.increment(1);
        meters.instances.increment(1.0);
        Self { steps, meters }
    }

    fn measure<T>(
        &mut self,
        duration: impl FnOnce(&StepMeters) -> &Histogram,
        step: impl FnOnce(&mut dyn Steps) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let begun = Instant::now();
        let result = step(self.steps.as_mut());
        duration(&self.meters).record(begun.elapsed());
        if result.is_err() {
            self.meters.failed.increment(1);
        }
        result
    }
}

impl Drop for MeteredSteps {
    fn drop(&mut self) {
        self.meters.instances.decrement(1.0);
    }
}

impl Steps for MeteredSteps {
    fn is_outdated(&self) -> bool {
        self.steps.is_outdated()
    }

    fn begin(&mut self, hurried: bool) {
        self.steps.begin(hurried);
    }

    fn end(&mut self) -> Footprint {
        self.steps.end()
    }

    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError> {
        self.measure(
            |meters| &meters.start,
            |steps| steps.start(requests, attempt),
        )
    }

    fn resume(&mut self, token: &Token, cause: Cause) -> Result<Answer, StepError> {
        self.measure(|meters| &meters.resume, |steps| steps.resume(token, cause))
    }

    fn delivered(&mut self, token: &Token, outcome: &DeliveryResult) -> Result<Worked, StepError> {
        self.measure(
            |meters| &meters.delivered,
            |steps| steps.delivered(token, outcome),
        )
    }

    fn work(&mut self, round: u64) -> Result<Worked, StepError> {
        let worked = self.measure(|meters| &meters.work, |steps| steps.work(round));
        if let Ok(worked) = &worked {
            self.meters.worked(worked.worked);
        }
        worked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Meters;

    /// An instance whose background work ends, and whose other steps fail.
    struct Fails(u64);

    impl Steps for Fails {
        fn is_outdated(&self) -> bool {
            self.0 == 0
        }

        fn begin(&mut self, _: bool) {}

        fn end(&mut self) -> Footprint {
            Footprint::default()
        }

        fn start(&mut self, _: &[&Request], _: Option<&Attempt>) -> Result<Vec<Answer>, StepError> {
            Err(StepError::Broken("it fails".to_owned()))
        }

        fn resume(&mut self, _: &Token, _: Cause) -> Result<Answer, StepError> {
            Err(StepError::Broken("it fails".to_owned()))
        }

        fn delivered(&mut self, _: &Token, _: &DeliveryResult) -> Result<Worked, StepError> {
            Err(StepError::Broken("it fails".to_owned()))
        }

        fn work(&mut self, _: u64) -> Result<Worked, StepError> {
            self.0 = self.0.saturating_sub(1);
            Ok(Worked {
                worked: self.0 > 0,
                ..Worked::default()
            })
        }
    }

    /// An instance that was measured once kept its tokens after a reload.
    #[test]
    fn a_measured_instance_is_outdated_when_it_says_so() {
        let handles = StepMeters::new(&Meters::new());
        let measured = |left| MeteredSteps::new(Box::new(Fails(left)), Arc::clone(&handles));
        assert!(measured(0).is_outdated());
        assert!(!measured(1).is_outdated());
    }

    #[test]
    fn steps_failures_and_instances_are_counted() {
        let meters = Meters::new();
        let handles = StepMeters::new(&meters);
        let instance = || MeteredSteps::new(Box::new(Fails(3)), Arc::clone(&handles));
        let (mut one, other) = (instance(), instance());
        drop(other);
        assert!(one.start(&[], None).is_err());
        for _ in 0..3 {
            assert!(one.work(0).is_ok());
        }
        let text = meters.render();
        for line in [
            "durable_streams_instances 1\n",
            "durable_streams_instances_started_total 2\n",
            "durable_streams_steps_failed_total 1\n",
            "durable_streams_step_duration_seconds_count{kind=\"start\"} 1\n",
            "durable_streams_step_duration_seconds_count{kind=\"work\"} 3\n",
            "durable_streams_background_pieces_total{result=\"worked\"} 2\n",
            "durable_streams_background_pieces_total{result=\"idle\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
