//! Wasmtime: its configuration, the component, and the clock that stops runaway instances.

mod error;

pub use error::ComponentError;

use crate::outbound::Outbound;
use crate::store::Store;
use crate::wasi::{self, InstanceState, MAX_MEMORY_BYTES, Variables};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, PoolingAllocationConfig, UpdateDeadline};

/// Most instances at a time. Each reserves address space.
const MAX_INSTANCES: u32 = 256;
/// Core instances, memories and tables of one component instance, with a margin.
const PER_INSTANCE: u32 = 8;
/// Steps under way at a time, each on a stack of its own.
const MAX_STACKS: u32 = 2048;
/// Interval between two increments of the epoch.
const TICK: Duration = Duration::from_millis(250);
/// Ticks after which an instance that does not call the host is stopped: about 5 seconds.
pub(crate) const STUCK_TICKS: u64 = 20;
/// The same limit for long steps: 20 seconds. Their thread may get only a small part of a busy core.
pub(crate) const LONG_STUCK_TICKS: u64 = 80;

/// Source of the component.
#[derive(Clone)]
pub enum ComponentSource {
    /// Compiled by the build of this program, with the same Wasmtime.
    Embedded(&'static [u8]),
    /// A `.wasm` file to compile now, or the output of `precompile`.
    File(std::path::PathBuf),
    /// Loaded before. Hosts of one process can share its pool. The pool's stacks take thousands of
    /// the memory mappings that a process may have.
    Loaded(Runtime),
}

/// A compiled and linked component.
#[derive(Clone)]
pub struct Runtime {
    /// Path of the component's file, or `embedded`.
    path: Arc<str>,
    engine: Engine,
    pre: InstancePre<InstanceState>,
    /// HTTP client of the instances, if they may send requests.
    outbound: Option<Arc<Outbound>>,
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

fn engine() -> Result<Engine, ComponentError> {
    engine_of(config)
}

/// An engine whose code runs on every processor of this machine's family.
fn portable_engine() -> Result<Engine, ComponentError> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut config = config();
    // A named target has only the family's basic instructions, and not those of this processor.
    config
        .target(&target)
        .map_err(|error| ComponentError::Engine(one_line(&error)))?;
    engine_of(|| config.clone())
}

fn engine_of(config: impl Fn() -> Config) -> Result<Engine, ComponentError> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * PER_INSTANCE)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * PER_INSTANCE)
        .total_stacks(MAX_STACKS)
        .max_memory_size(MAX_MEMORY_BYTES);
    let mut pooled = config();
    pooled.allocation_strategy(pool);
    // With limited address space the pool is not available. Instances then take longer to start.
    Engine::new(&pooled)
        .or_else(|_| Engine::new(&config()))
        .map_err(|error| ComponentError::Engine(one_line(&error)))
}

pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', "; ")
}

impl Runtime {
    /// Loads and links the component, and starts the clock of its instances.
    ///
    /// # Errors
    ///
    /// The file can't be read, is not a component, or imports something that this host does not
    /// offer.
    pub fn load(source: &ComponentSource) -> Result<Self, ComponentError> {
        match source {
            ComponentSource::Embedded(bytes) => {
                Self::link("embedded", |engine| deserialize(engine, bytes))
            }
            ComponentSource::File(file) => {
                let bytes = read(file)?;
                Self::link(
                    &file.display().to_string(),
                    |engine| match Engine::detect_precompiled(&bytes) {
                        Some(_) => deserialize(engine, &bytes),
                        None => Component::new(engine, &bytes),
                    },
                )
            }
            ComponentSource::Loaded(runtime) => Ok(runtime.clone()),
        }
    }

    /// Links a compiled component for a new engine.
    fn link(
        path: &str,
        compile: impl FnOnce(&Engine) -> wasmtime::Result<Component>,
    ) -> Result<Self, ComponentError> {
        let engine = engine()?;
        let invalid = |error: wasmtime::Error| ComponentError::Invalid {
            path: path.to_owned(),
            reason: one_line(&error),
        };
        let component = compile(&engine).map_err(invalid)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker).map_err(invalid)?;
        let pre = linker.instantiate_pre(&component).map_err(invalid)?;
        start_clock(&engine)?;
        Ok(Self {
            path: path.into(),
            engine,
            pre,
            outbound: None,
        })
    }

    /// Checks that the component exports an interface in a version that this host can call. That is
    /// the same version or, by Wasmtime's rules for exports, another patch of it.
    ///
    /// # Errors
    ///
    /// [`ComponentError::OtherVersion`] or [`ComponentError::OtherBuild`] if not.
    pub(crate) fn check_export(&self, wanted: &'static str) -> Result<(), ComponentError> {
        let component = self.pre.component();
        if component.get_export_index(None, wanted).is_some() {
            return Ok(());
        }
        let kind = component.component_type();
        let exports: Vec<&str> = kind.exports(&self.engine).map(|(name, _)| name).collect();
        let name = |interface: &'_ str| interface.split('@').next().map(str::to_owned);
        let mut versions = exports.clone();
        versions.retain(|export| name(export) == name(wanted));
        let path = self.path.to_string();
        Err(match versions.is_empty() {
            true => ComponentError::OtherBuild {
                path,
                exports: exports.join(" and "),
                wanted,
            },
            false => ComponentError::OtherVersion {
                path,
                exports: versions.join(" and "),
                wanted,
            },
        })
    }

    /// The error for an interface that exists but differs from the one that this host calls.
    pub(crate) fn other_shape(
        &self,
        wanted: &'static str,
        error: &wasmtime::Error,
    ) -> ComponentError {
        ComponentError::OtherShape {
            path: self.path.to_string(),
            wanted,
            reason: one_line(error),
        }
    }

    /// The same component, with an HTTP client for its instances.
    #[must_use]
    pub(crate) fn sending(mut self, outbound: Arc<Outbound>) -> Self {
        self.outbound = Some(outbound);
        self
    }

    /// The component, linked and ready to be instantiated.
    #[must_use]
    pub(crate) const fn pre(&self) -> &InstancePre<InstanceState> {
        &self.pre
    }

    /// Creates the Wasmtime store of a new instance; see [`stop_when_stuck`].
    #[must_use]
    pub(crate) fn new_store(
        &self,
        store: Arc<dyn Store>,
        variables: Arc<Variables>,
    ) -> wasmtime::Store<InstanceState> {
        let state = InstanceState::new(store, variables, self.outbound.clone());
        let mut store = wasmtime::Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limits);
        store
    }
}

/// Stops an instance that runs for `most` ticks without calling the host. Time spent in the host,
/// such as in calls of the store, does not count. With `yields`, other tasks run at each tick.
pub(crate) fn stop_when_stuck(store: &mut wasmtime::Store<InstanceState>, most: u64, yields: bool) {
    let mut calls = 0;
    let mut ticks = 0;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        let now = context.data().keys().calls();
        ticks = if now == calls { ticks + 1 } else { 0 };
        calls = now;
        Ok(match ticks {
            ticks if ticks >= most => UpdateDeadline::Interrupt,
            _ if yields => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
            _ => UpdateDeadline::Continue(1),
        })
    });
}

/// Compiles a component for `--component` or for embedding, into `output`. A `portable` one also runs
/// on older processors than this machine's.
///
/// # Errors
///
/// A file can't be read or written, or the input is not a component.
pub fn precompile(input: &Path, output: &Path, portable: bool) -> Result<(), ComponentError> {
    let unwritable = |source| ComponentError::File {
        path: output.display().to_string(),
        source,
    };
    let engine = if portable {
        portable_engine()?
    } else {
        engine()?
    };
    let compiled = engine
        .precompile_component(&read(input)?)
        .map_err(|error| ComponentError::Invalid {
            path: input.display().to_string(),
            reason: one_line(&error),
        })?;
    std::fs::write(output, compiled).map_err(unwritable)
}

fn read(path: &Path) -> Result<Vec<u8>, ComponentError> {
    std::fs::read(path).map_err(|source| ComponentError::File {
        path: path.display().to_string(),
        source,
    })
}

#[expect(
    unsafe_code,
    reason = "compiled code is trusted like this program: the build embeds it, or the operator \
              names it"
)]
fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `precompile` wrote the bytes, by the trust stated above. Wasmtime itself refuses
    // bytes of another version or configuration.
    unsafe { Component::deserialize(engine, compiled) }
}

/// Increments the epoch until the engine is dropped.
fn start_clock(engine: &Engine) -> Result<(), ComponentError> {
    let engine = engine.weak();
    let clock = move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(clock)
        .map(|_| ())
        .map_err(|error| ComponentError::Engine(error.to_string()))
}

#[cfg(test)]
mod tests;
