//! The answer to `/metrics`.

use crate::budget::Unsent;
use crate::meters::{
    BACKGROUND_BEHIND, CACHE_BYTES, CACHE_HITS, CACHE_MISSES, CONNECTION_PLACES, CONNECTIONS,
    DISK_FREE_BYTES, DISK_FULL, LOG_BYTES, LOG_DAMAGE, LOG_KEYS, LOG_LINES_DROPPED, LOG_LIVE_BYTES,
    LOG_QUEUED, LOG_SEGMENTS, Meters, Metric, QUEUED_STEPS, SPANS, STORE_LOSSES, STORE_TIMELINE,
    STORE_WRITABLE, StepMeters, UNSENT_BYTES, UNSENT_LIMIT_BYTES,
};
use crate::net::{Handler, Places};
use crate::quota::Quota;
use crate::store::{Figures, Store};
use crate::telemetry;
use crate::trace::{self, SpanCounts};
use std::sync::Arc;

/// The load of one listener.
pub(crate) struct ListenerLoad {
    pub(crate) name: &'static str,
    pub(crate) places: Places,
    pub(crate) unsent: Arc<Unsent>,
}

/// The parts of a server whose state is read for `/metrics`.
pub(crate) struct Scrape {
    pub(crate) meters: Arc<Meters>,
    pub(crate) steps: Arc<StepMeters>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) handler: Handler,
    pub(crate) listeners: [ListenerLoad; 2],
    /// The limits per prefix, if there are any.
    pub(crate) quota: Option<Arc<Quota>>,
}

impl Scrape {
    /// All metrics in Prometheus' text format.
    pub(super) fn text(&self) -> String {
        self.listeners.iter().for_each(|one| self.listener(one));
        self.store();
        for figure in self.quota.iter().flat_map(|quota| quota.figures()) {
            let labels = figure.labels;
            self.meters.show(&figure.metric, labels, figure.value);
        }
        if let Some([short, long]) = self.handler.queued() {
            self.set(&QUEUED_STEPS, &["short"], short as u64);
            self.set(&QUEUED_STEPS, &["long"], long as u64);
            let behind = self.meters.gauge(&BACKGROUND_BEHIND, &[]);
            behind.set(self.steps.behind().as_secs_f64());
        }
        self.diagnostics();
        self.meters.render()
    }

    fn diagnostics(&self) {
        self.count(&LOG_LINES_DROPPED, telemetry::dropped_lines());
        let SpanCounts {
            exported,
            failed,
            dropped,
        } = trace::counts();
        for (result, count) in [
            ("exported", exported),
            ("failed", failed),
            ("dropped", dropped),
        ] {
            self.meters.counter(&SPANS, &[result]).absolute(count);
        }
    }

    fn listener(&self, listener: &ListenerLoad) {
        let ListenerLoad {
            name,
            places,
            unsent,
        } = listener;
        let (most, left) = (places.most(), places.left());
        let (limit, room) = (unsent.pool().size(), unsent.pool().left());
        let labels = &[*name];
        self.set(&CONNECTION_PLACES, labels, most as u64);
        self.set(&CONNECTIONS, labels, most.saturating_sub(left) as u64);
        self.set(&UNSENT_LIMIT_BYTES, labels, limit as u64);
        self.set(&UNSENT_BYTES, labels, limit.saturating_sub(room) as u64);
    }

    fn store(&self) {
        let store = &self.store;
        self.count(&STORE_LOSSES, store.losses());
        self.set(&STORE_TIMELINE, &[], store.timeline());
        self.set(&STORE_WRITABLE, &[], u64::from(!store.refuses_writes()));
        if let Some(figures) = store.figures() {
            self.files(&figures);
        }
    }

    fn files(&self, figures: &Figures) {
        for (metric, value) in [
            (&LOG_BYTES, figures.log_bytes),
            (&LOG_LIVE_BYTES, figures.live_bytes),
            (&LOG_SEGMENTS, figures.segments),
            (&LOG_KEYS, figures.keys),
            (&LOG_QUEUED, figures.queued),
            (&DISK_FREE_BYTES, figures.room_bytes),
            (&DISK_FULL, u64::from(figures.is_full)),
            (&CACHE_BYTES, figures.cache_bytes),
        ] {
            self.set(metric, &[], value);
        }
        self.count(&CACHE_HITS, figures.cache_hits);
        self.count(&CACHE_MISSES, figures.cache_misses);
        self.count(&LOG_DAMAGE, figures.damages);
    }

    fn set(&self, metric: &Metric, labels: &[&'static str], value: u64) {
        self.meters.gauge(metric, labels).set(value as f64);
    }

    fn count(&self, metric: &Metric, value: u64) {
        self.meters.counter(metric, &[]).absolute(value);
    }
}
