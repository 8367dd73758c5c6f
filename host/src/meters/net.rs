//! Connections of a listener.

use super::recorder::Meters;
use super::requests::RequestMeters;
use super::table::{CONNECTIONS_ACCEPTED, CONNECTIONS_REFUSED, RECEIVED_BYTES, SENT_BYTES};
use metrics::Counter;
use std::sync::Arc;

/// Metrics of a listener.
pub(crate) struct NetMeters {
    pub(crate) requests: Arc<RequestMeters>,
    /// The path below which this listener serves streams.
    pub(crate) base_path: String,
    pub(crate) accepted: Counter,
    pub(crate) refused: Counter,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
}

impl NetMeters {
    /// Handles of the metrics of the listener with this name.
    pub(crate) fn new(
        meters: &Arc<Meters>,
        requests: &Arc<RequestMeters>,
        listener: &'static str,
        base_path: &str,
    ) -> Arc<Self> {
        let counter = |metric| meters.counter(metric, &[listener]);
        Arc::new(Self {
            requests: Arc::clone(requests),
            base_path: base_path.to_owned(),
            accepted: counter(&CONNECTIONS_ACCEPTED),
            refused: counter(&CONNECTIONS_REFUSED),
            received: counter(&RECEIVED_BYTES),
            sent: counter(&SENT_BYTES),
        })
    }
}
