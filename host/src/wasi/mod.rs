//! What an instance is given: WASI, its variables and the key-value store.

mod config;
mod keys;
mod keyvalue;
mod send;

pub use keys::{Keys, Met};
pub use keyvalue::{Bucket, Cas};

use crate::outbound::Outbound;
use crate::store::Store;
use send::Sending;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../src/wit",
        world: "imports",
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
    });
}

/// Linear memory one instance may have.
pub const MAX_MEMORY_BYTES: usize = 128 * 1024 * 1024;

/// The values of all variables, by name.
pub type Variables = BTreeMap<String, String>;

/// The host's side of one instance.
pub struct InstanceState {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Sending,
    keys: Keys,
    variables: Arc<Variables>,
    /// Buckets and swaps that are open.
    handles: usize,
    /// The memory limit, for Wasmtime to ask.
    pub limits: StoreLimits,
}

impl InstanceState {
    /// The state of an instance that has done nothing yet. Its standard error is the host's; it has
    /// no arguments, environment, files or sockets.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        variables: Arc<Variables>,
        outbound: Option<Arc<Outbound>>,
    ) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            hooks: Sending::new(Arc::clone(&store), outbound),
            keys: Keys::new(store),
            variables,
            handles: 0,
            limits: StoreLimitsBuilder::new()
                .memory_size(MAX_MEMORY_BYTES)
                .build(),
        }
    }

    /// The store, as this instance sees it.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The same, for who begins and ends its steps.
    pub const fn keys_mut(&mut self) -> &mut Keys {
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

/// Links everything an instance may import.
///
/// # Errors
///
/// Only where two of the linked packages define one name.
pub fn add_to_linker(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    bindings::Imports::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}
