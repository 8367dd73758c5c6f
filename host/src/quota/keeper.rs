//! The limits of a server, and what counts for them.

use super::access::Judge;
use super::buckets::Buckets;
use super::counted::CountedStore;
use super::counter::Counter;
use super::follow;
use super::readers::{Reader, Readers};
use super::refusal::{Limit, Refusal};
use super::rules::{Rules, Scope};
use crate::limits::PREFIXES;
use crate::store::Store;
use durable_streams_edge::access::Access;
use durable_streams_edge::limits::Config;
use durable_streams_edge::protocol::name::StreamName;
use durable_streams_edge::seam::streams::StreamKeys;
use http::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// Limits and usage per prefix.
pub(crate) struct Quota {
    rules: Arc<Rules>,
    config: Config,
    judge: Judge,
    /// The store below all counts.
    store: Arc<dyn Store>,
    /// None without a registry of names.
    counter: Option<Arc<Counter>>,
    /// Requests of each rule.
    buckets: Vec<Option<Buckets>>,
    readers: Arc<Readers>,
    /// Refused requests of each rule.
    refused: Vec<[AtomicU64; Limit::ALL.len()]>,
    begun: Instant,
}

/// The effect of a request on the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    /// Whether the request may create the stream.
    pub(super) creates: bool,
    /// Length of its body. None if it is not known yet.
    pub(super) bytes: Option<u64>,
}

impl Quota {
    /// The limits of a server with these rules. Without rules there is nothing to keep.
    pub(crate) fn new(
        rules: Rules,
        config: &Config,
        access: Access,
        store: &Arc<dyn Store>,
    ) -> Option<Arc<Self>> {
        if rules.is_empty() {
            return None;
        }
        let rules = Arc::new(rules);
        let counter = || Counter::new(StreamKeys::new(&config.key_namespace), Arc::clone(&rules));
        let buckets = rules.iter().map(|rule| rule.limits.requests);
        Some(Arc::new(Self {
            counter: config.registry.then(counter),
            buckets: buckets.map(|rate| rate.map(Buckets::new)).collect(),
            refused: rules.iter().map(|_| Default::default()).collect(),
            readers: Arc::default(),
            judge: Judge::new(access),
            store: Arc::clone(store),
            config: config.clone(),
            rules,
            begun: Instant::now(),
        }))
    }

    /// Puts another access control in force.
    pub(crate) fn replace_access(&self, access: Access) {
        self.judge.replace(access);
    }

    /// The store with the streams and bytes of its swaps counted. It wraps this store, whose data is
    /// that of the store given to [`new`](Self::new).
    pub(crate) fn counted(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match &self.counter {
            Some(counter) => Arc::new(CountedStore::new(store, Arc::clone(counter))),
            None => store,
        }
    }

    /// Counts the streams of the store, until `stop`.
    pub(crate) async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        if let Some(counter) = &self.counter {
            tokio::select! {
                () = follow::follow(counter, &self.store) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn counter(&self) -> Option<&Counter> {
        self.counter.as_deref()
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Number of refused requests of a rule, by limit.
    pub(super) fn refused(&self, rule: usize, limit: Limit) -> u64 {
        let count = self.refused.get(rule).and_then(|of| of.get(limit as usize));
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts a refused request.
    pub(super) fn note(&self, rule: usize, refusal: Refusal) {
        let limit = refusal.limit() as usize;
        if let Some(count) = self.refused.get(rule).and_then(|of| of.get(limit)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Parses the part of a path after `{base_path}/`. None if it names no stream.
    pub(super) fn name(&self, raw: &str) -> Option<StreamName> {
        StreamName::parse(raw, &self.config).ok()
    }

    /// Whether the sender of a request has rights on the stream `name`.
    pub(super) fn has_rights(&self, headers: &HeaderMap, name: &str) -> bool {
        self.judge.has_rights(headers, name)
    }

    /// Takes a request from the allowance of a prefix.
    pub(super) fn take(&self, scope: Scope<'_>) -> Result<(), Refusal> {
        let Some(buckets) = self.buckets.get(scope.rule).and_then(Option::as_ref) else {
            return Ok(());
        };
        let limit = self.rules.limits(scope.rule).requests;
        let taken = buckets.take(scope.prefix, self.begun.elapsed());
        taken.map_err(|wait| Refusal::Requests {
            limit: limit.map_or(0, std::num::NonZero::get),
            wait,
        })
    }

    /// Adds a live reader to a prefix.
    pub(super) fn join(&self, scope: Scope<'_>) -> Result<Reader, Refusal> {
        let limit = self.rules.limits(scope.rule).readers;
        let joined = self.readers.add(scope.prefix, limit);
        joined.ok_or_else(|| Refusal::Readers {
            limit: limit.unwrap_or_default(),
        })
    }

    /// Checks that the streams of a prefix may grow by a request. A creation of a stream that exists
    /// changes nothing, and passes.
    pub(super) async fn check(
        &self,
        scope: Scope<'_>,
        name: &str,
        growth: Growth,
    ) -> Result<(), Refusal> {
        let Some(counter) = &self.counter else {
            return Ok(());
        };
        let checked = self.judge_growth(counter, scope, growth);
        if checked.is_err() && growth.creates {
            let (counter, store) = (Arc::clone(counter), Arc::clone(&self.store));
            let name = name.to_owned();
            let exists = spawn_blocking(move || counter.exists(&*store, &name));
            if let Ok(Ok(true)) = exists.await {
                return Ok(());
            }
        }
        checked
    }

    fn judge_growth(
        &self,
        counter: &Counter,
        scope: Scope<'_>,
        growth: Growth,
    ) -> Result<(), Refusal> {
        let limits = self.rules.limits(scope.rule);
        if limits.streams.is_none() && limits.bytes.is_none() {
            return Ok(());
        }
        let Some(used) = counter.of(scope.prefix) else {
            return match growth.creates {
                true => Err(Refusal::Prefixes { limit: PREFIXES }),
                false => Ok(()),
            };
        };
        if let Some(limit) = limits.streams
            && growth.creates
            && used.streams() >= limit
        {
            return Err(Refusal::Streams { limit });
        }
        let Some(limit) = limits.bytes else {
            return Ok(());
        };
        let used = used.bytes();
        let exceeds = match growth.bytes {
            // A close or a heartbeat.
            Some(0) => false,
            Some(bytes) => used.saturating_add(bytes) > limit,
            None => used >= limit,
        };
        match exceeds {
            true => Err(Refusal::Bytes { limit, used }),
            false => Ok(()),
        }
    }
}
