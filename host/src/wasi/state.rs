//! The host's side of one instance.

use super::handles::MAX_HANDLES;
use super::send::Sending;
use super::stderr::LogStream;
use super::view::StoreView;
use crate::outbound::Outbound;
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Most linear memory of one instance.
pub(crate) const MAX_MEMORY_BYTES: usize = 128 * 1024 * 1024;

/// The variable with the store's timeline.
const TIMELINE: &str = "timeline";

/// The variable with the time since which the host takes appends.
pub(crate) const SERVING_SINCE: &str = "serving_since_ms";

/// The variable that says whether failed swaps were certainly not applied.
pub(crate) const FINAL_SWAPS: &str = "kv_final_swaps";

/// The variable with the token of calls that only operators may make.
pub(crate) const ADMIN_TOKEN: &str = "admin_token";

/// The values of all variables, by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// The variables with at least this value of the variable `name`, a number. A greater value stays: an
/// operator set the timeline on purpose, and the host began to serve after the store.
fn at_least(variables: Arc<Variables>, name: &str, value: u64) -> Arc<Variables> {
    let given = variables.get(name).and_then(|text| text.parse().ok());
    if value <= given.unwrap_or(0_u64) {
        return variables;
    }
    let mut raised = Variables::clone(&variables);
    raised.insert(name.to_owned(), value.to_string());
    Arc::new(raised)
}

/// The host's side of one instance.
pub(crate) struct InstanceState {
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Sending,
    pub(super) keys: StoreView,
    pub(super) variables: Arc<Variables>,
    /// Number of open buckets and swaps.
    pub(super) handles: usize,
    /// The memory limit, read by Wasmtime.
    pub limits: StoreLimits,
}

impl InstanceState {
    /// The state of an instance before its first call. Its standard error is the host's log. It has no
    /// arguments, environment, files or sockets.
    #[must_use]
    pub(crate) fn new(
        store: Arc<dyn Store>,
        variables: Arc<Variables>,
        outbound: Option<Arc<Outbound>>,
    ) -> Self {
        let keys = StoreView::new(Arc::clone(&store));
        // The timeline is read after the keys' number of losses. The store then refuses the
        // instance if a loss came in between; in the other order it would accept an old timeline.
        let variables = at_least(variables, TIMELINE, store.timeline());
        let variables = at_least(variables, SERVING_SINCE, store.serving_since_ms());
        Self {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().stderr(LogStream).build(),
            http: WasiHttpCtx::new(),
            hooks: Sending::new(store, outbound),
            keys,
            variables,
            handles: 0,
            limits: StoreLimitsBuilder::new()
                .memory_size(MAX_MEMORY_BYTES)
                .build(),
        }
    }

    /// Opens a handle; none if too many are open.
    pub(super) fn open_handle<T: Send + 'static>(&mut self, handle: T) -> Option<Resource<T>> {
        if self.handles >= MAX_HANDLES {
            return None;
        }
        let resource = self.table.push(handle).ok()?;
        self.handles = self.handles.saturating_add(1);
        Some(resource)
    }

    /// Closes a handle and returns its value.
    pub(super) fn close_handle<T: Send + 'static>(
        &mut self,
        handle: Resource<T>,
    ) -> wasmtime::Result<T> {
        let handle = self.table.delete(handle)?;
        self.handles = self.handles.saturating_sub(1);
        Ok(handle)
    }

    /// This instance's access to the store.
    #[must_use]
    pub(crate) const fn keys(&self) -> &StoreView {
        &self.keys
    }

    /// Likewise, to begin and end steps.
    pub(crate) const fn keys_mut(&mut self) -> &mut StoreView {
        &mut self.keys
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.keys.note_call();
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_knows_the_larger_of_its_variable_and_its_stores_timeline() {
        for (given, timeline, expected) in [("0", 0, "0"), ("0", 7, "7"), ("9", 7, "9")] {
            let given = Variables::from([(TIMELINE.to_owned(), given.to_owned())]);
            let variables = at_least(Arc::new(given), TIMELINE, timeline);
            assert_eq!(variables[TIMELINE], expected);
        }
        assert_eq!(at_least(Arc::default(), TIMELINE, 3)[TIMELINE], "3");
    }
}
