//! Instances behind Wasmtime's own `ProxyHandler`, with the same limits as Spin.

use crate::engine::{Runtime, STUCK_TICKS, stop_when_stuck};
use crate::store::{Outlet, Store};
use crate::telemetry;
use crate::variables::Current;
use crate::wasi::InstanceState;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{Sleep, sleep_until};
use wasmtime::component::GuestTaskId;
use wasmtime::{StoreContextMut, format_err};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};

/// Most concurrent requests of an instance.
const CONCURRENT: usize = 16;
/// Most requests in the life of an instance.
const TOTAL: usize = 128;
/// How long an idle instance is kept.
const IDLE: Duration = Duration::from_secs(1);

/// Number of requests that an instance serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Several at a time, and a limited number in its life: `wasi:http/handler`.
    AsSpin,
    /// Exactly one: `wasi:http/incoming-handler`.
    Never,
}

impl Reuse {
    /// The interface through which the host calls the component.
    pub(super) const fn interface(self) -> &'static str {
        match self {
            Self::AsSpin => "wasi:http/handler@0.3.0",
            Self::Never => "wasi:http/incoming-handler@0.2.0",
        }
    }
}

/// Factory of the instances.
pub(super) struct OnDemand {
    pub(super) runtime: Runtime,
    pub(super) pre: ProxyPre<InstanceState>,
    pub(super) reuse: Reuse,
    pub(super) store: Arc<dyn Store>,
    pub(super) variables: Arc<Current>,
}

impl HandlerState for OnDemand {
    type StoreData = InstanceState;
    type WorkerExpiration = IdleFor;
    type WorkerState = Limits;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceState, IdleFor, Limits>> {
        let outlet = Outlet::new(Arc::clone(&self.store));
        let serving_since_ms = self.store.serving_since_ms();
        let version = self.variables.version();
        let (store, variables) = (Arc::clone(&self.store), self.variables.variables());
        let mut store = self.runtime.new_store(store, variables);
        stop_when_stuck(&mut store, STUCK_TICKS, true);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: IdleFor(None),
            state: Limits {
                outlet,
                serving_since_ms,
                stores: Arc::clone(&self.store),
                variables: Arc::clone(&self.variables),
                version,
                reuse: self.reuse,
            },
        })
    }
}

/// Ends an instance that was idle for [`IDLE`].
pub(super) struct IdleFor(Option<Pin<Box<Sleep>>>);

impl WorkerExpiration for IdleFor {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        match status {
            WorkerStatus::Requests | WorkerStatus::PostReturn => {
                self.0 = None;
                Poll::Pending
            }
            WorkerStatus::Idle => {
                let until = since.checked_add(IDLE).unwrap_or(since);
                let sleep = || Box::pin(sleep_until(until.into()));
                let sleep = self.0.get_or_insert_with(sleep);
                if sleep.deadline() != until.into() {
                    sleep.as_mut().reset(until.into());
                }
                sleep.as_mut().poll(context)
            }
        }
    }
}

/// Wasmtime's error for an instance that ended early with its task. Either the task panicked, or
/// the runtime dropped the task because the process ends.
const TASK_GONE: &str = "worker panicked";

/// Whether an instance ended only because the runtime dropped its task. A task that panics is
/// dropped while its thread unwinds.
fn was_dropped(error: &wasmtime::Error, panicking: bool) -> bool {
    !panicking && error.to_string() == TASK_GONE
}

pub(super) struct Limits {
    /// Losses of the store since the instance began.
    outlet: Outlet,
    /// Since when the store serves, which the instance has as a variable.
    serving_since_ms: u64,
    stores: Arc<dyn Store>,
    /// The variables in force, and the version of those that the instance has.
    variables: Arc<Current>,
    version: u64,
    reuse: Reuse,
}

impl WorkerState for Limits {
    type StoreData = InstanceState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        match (concurrent, total) {
            (_, 1..) if self.reuse == Reuse::Never => ShouldAccept::Never,
            // The instance may hold data that the store lost, so the store refuses the instance's
            // calls.
            _ if self.outlet.check(Ok(())).is_err() => ShouldAccept::Never,
            // The instance would judge leases by an earlier time.
            _ if self.serving_since_ms != self.stores.serving_since_ms() => ShouldAccept::Never,
            _ if self.version != self.variables.version() => ShouldAccept::Never,
            (_, TOTAL..) => ShouldAccept::Never,
            (CONCURRENT.., _) => ShouldAccept::No,
            _ => ShouldAccept::Yes,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, InstanceState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        // Reads may wait for as long as the component lets them.
        Box::pin(std::future::pending())
    }

    fn drop(&self, _: wasmtime::Store<InstanceState>, result: wasmtime::Result<()>) {
        if let Err(error) = result
            && !was_dropped(&error, std::thread::panicking())
        {
            telemetry::warn("instance ended", &format!("{:#}", format_err!(error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log reported a panic for each instance of a host that stopped.
    #[test]
    fn an_instance_that_ends_with_its_host_is_no_panic() {
        for (error, panicking, expected) in [
            (TASK_GONE, false, true),
            (TASK_GONE, true, false),
            ("guest timed out", false, false),
        ] {
            let dropped = was_dropped(&format_err!("{error}"), panicking);
            assert_eq!(dropped, expected, "{error} {panicking}");
        }
    }
}
