//! Results of a step besides its answer.

use super::exchange::Delivery;

/// Results of a step besides its answer: requests to send, and the time of the next work.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Requests to webhooks, sent once the step is over.
    pub(super) deliveries: Vec<Delivery>,
    /// Earliest time at which something is due, milliseconds since 1970.
    pub(super) due_ms: Option<u64>,
}

impl Effects {
    /// Adds a request to a webhook.
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }

    /// Adds the time at which something is due, if there is one.
    pub(super) fn expect(&mut self, due_ms: Option<u64>) {
        self.due_ms = [self.due_ms, due_ms].into_iter().flatten().min();
    }
}
