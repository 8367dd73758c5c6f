//! The metrics of a server with an admin listener.

use crate::meters::{
    COMMIT_DURATION, Meters, NetMeters, RequestMeters, SYNC_DURATION, StepMeters, StoreMeters,
    WAKE_DURATION, WebhookMeters,
};
use crate::store::{MeteredStore, Store};
use durable_streams_edge::seam::streams::StreamKeys;
use metrics::Histogram;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Longest time for which durations stay outside of their buckets.
const FOLD: Duration = Duration::from_secs(5);

/// The metrics of a server. Without an admin listener nothing is counted.
pub(super) struct Observed {
    pub(super) meters: Arc<Meters>,
    pub(super) steps: Arc<StepMeters>,
    requests: Arc<RequestMeters>,
}

impl Observed {
    pub(super) fn new() -> Self {
        let meters = Meters::new();
        Self {
            steps: StepMeters::new(&meters),
            requests: RequestMeters::new(&meters),
            meters,
        }
    }

    /// The store with its calls counted. Its keys have this namespace.
    pub(super) fn store(&self, store: Arc<dyn Store>, namespace: &str) -> Arc<dyn Store> {
        let histogram = |metric| self.meters.histogram(metric, &[]);
        store.measure(histogram(&COMMIT_DURATION), histogram(&SYNC_DURATION));
        let meters = StoreMeters::new(&self.meters, store.blocks());
        Arc::new(MeteredStore::new(store, StreamKeys::new(namespace), meters))
    }

    pub(super) fn webhooks(&self) -> WebhookMeters {
        WebhookMeters::new(&self.meters)
    }

    pub(super) fn wake(&self) -> Histogram {
        self.meters.histogram(&WAKE_DURATION, &[])
    }

    /// Metrics of a listener that serves streams below this path.
    pub(super) fn listener(&self, name: &'static str, base_path: &str) -> Arc<NetMeters> {
        NetMeters::new(&self.meters, &self.requests, name, base_path)
    }
}

/// Moves durations into their buckets every few seconds, until `stop`.
pub(super) async fn fold(meters: Arc<Meters>, mut stop: watch::Receiver<bool>) {
    while timeout(FOLD, stop.wait_for(|stop| *stop)).await.is_err() {
        meters.fold();
    }
}
