//! Wasmtime: its configuration, the component, and the clock that stops runaway instances.

use crate::outbound::Outbound;
use crate::store::Store;
use crate::wasi::{self, InstanceState, MAX_MEMORY_BYTES, Variables};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, PoolingAllocationConfig, UpdateDeadline};

/// Instances there may be at a time; each has address space set aside.
const MAX_INSTANCES: u32 = 256;
/// Core instances, memories and tables of one component instance, generously.
const PER_INSTANCE: u32 = 8;
/// Steps under way at a time, each on a stack of its own.
const MAX_STACKS: u32 = 2048;
/// How often the epoch moves on.
const TICK: Duration = Duration::from_millis(250);
/// Ticks after which an instance that did not call the host is stopped: 5 seconds, at most one less.
const STUCK_TICKS: u64 = 20;

/// Why there is no component to run.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file can't be read or written.
    #[error("component {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is neither a component nor one that this version compiled.
    #[error("component {path}: {reason}")]
    Invalid {
        /// The file.
        path: String,
        /// Why, in one line.
        reason: String,
    },
    /// It is the build for another way of calling it.
    #[error(
        "component {path} exports {exports}, not the {wanted} that this --via needs: give the build \
         for WASI 0.2 (durable_streams_edge.wasm) to wasi-http-p2, and the build for WASI 0.3 \
         (durable_streams_edge_p3.wasm) to exchange and wasi-http"
    )]
    OtherBuild {
        /// The file.
        path: String,
        /// The interfaces that it exports.
        exports: String,
        /// The beginning of the one that is needed.
        wanted: &'static str,
    },
    /// Wasmtime can't be set up on this machine.
    #[error("Wasmtime: {0}")]
    Engine(String),
}

/// Where the component comes from.
#[derive(Clone)]
pub enum ComponentSource {
    /// Compiled when this program was built, by the same Wasmtime.
    Embedded(&'static [u8]),
    /// A `.wasm` to be compiled now, or what `precompile` wrote.
    File(std::path::PathBuf),
    /// Loaded before. Hosts of one process can share its pool, whose stacks take thousands of the
    /// memory mappings that a process may have.
    Loaded(Runtime),
}

/// A component that is compiled and linked.
#[derive(Clone)]
pub struct Runtime {
    /// Where the component is from.
    path: Arc<str>,
    engine: Engine,
    pre: InstancePre<InstanceState>,
    /// What instances send requests with, if they may.
    outbound: Option<Arc<Outbound>>,
}

fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

fn engine() -> Result<Engine, ComponentError> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES * PER_INSTANCE)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * PER_INSTANCE)
        .total_stacks(MAX_STACKS)
        .max_memory_size(MAX_MEMORY_BYTES);
    let mut pooled = config();
    pooled.allocation_strategy(pool);
    // Where address space is limited the pool can't be had; instances then take longer to start.
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
    /// When the component can't be read, is none, or imports what this host does not offer.
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

    /// Links what is compiled for a new engine.
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

    /// Says whether the component exports an interface whose name and version begin so.
    ///
    /// # Errors
    ///
    /// [`ComponentError::OtherBuild`] if not.
    pub(crate) fn check_export(&self, wanted: &'static str) -> Result<(), ComponentError> {
        let kind = self.pre.component().component_type();
        let exports: Vec<&str> = kind.exports(&self.engine).map(|(name, _)| name).collect();
        match exports.iter().any(|name| name.starts_with(wanted)) {
            true => Ok(()),
            false => Err(ComponentError::OtherBuild {
                path: self.path.to_string(),
                exports: exports.join(" and "),
                wanted,
            }),
        }
    }

    /// The same, whose instances may send requests themselves.
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

    /// What an instance begins with; see [`stop_when_stuck`].
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

/// Stops an instance that runs for about 5 seconds without calling the host; the time that a store
/// takes to answer is not its own. With `yields`, others have their turn at each tick.
pub(crate) fn stop_when_stuck(store: &mut wasmtime::Store<InstanceState>, yields: bool) {
    let mut calls = 0;
    let mut ticks = 0;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        let now = context.data().keys().calls();
        ticks = if now == calls { ticks + 1 } else { 0 };
        calls = now;
        Ok(match ticks {
            STUCK_TICKS.. => UpdateDeadline::Interrupt,
            _ if yields => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
            _ => UpdateDeadline::Continue(1),
        })
    });
}

/// Compiles a component for `--component` or for embedding, into `output`.
///
/// # Errors
///
/// When a file can't be read or written, or the input is no component.
pub fn precompile(input: &Path, output: &Path) -> Result<(), ComponentError> {
    let unwritable = |source| ComponentError::File {
        path: output.display().to_string(),
        source,
    };
    let compiled = engine()?
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
    reason = "compiled code is trusted like this program: embedded by its build, or named by who starts it"
)]
fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `precompile` wrote, by the trust said above; Wasmtime itself
    // refuses those of another version or configuration.
    unsafe { Component::deserialize(engine, compiled) }
}

/// Moves the epoch on until nobody uses the engine any more.
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
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use wasmtime::{Caller, Func, Instance, Module, Trap};
    use wasmtime_wasi_http::WasiHttpView;

    /// Runs a loop of `turns`, each of which calls `host`.
    fn run(
        turns: i32,
        host: impl Fn(&Engine, &mut InstanceState) + Send + Sync + 'static,
    ) -> Result<(), Trap> {
        let text = r#"(module
            (import "" "host" (func $host))
            (func (export "run") (param $left i32)
                (loop $turn
                    (call $host)
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $turn (local.get $left)))))"#;
        let engine = Engine::new(&config()).unwrap();
        let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let state = InstanceState::new(Arc::new(MemoryStore::new()), Arc::default(), None);
        let mut store = wasmtime::Store::new(&engine, state);
        stop_when_stuck(&mut store, false);
        let host = Func::wrap(&mut store, move |mut caller: Caller<'_, InstanceState>| {
            let engine = caller.engine().clone();
            host(&engine, caller.data_mut());
        });
        let instance = Instance::new(&mut store, &module, &[host.into()]).unwrap();
        let run = instance
            .get_typed_func::<i32, ()>(&mut store, "run")
            .unwrap();
        run.call(&mut store, turns)
            .map_err(|error| error.downcast().unwrap())
    }

    fn pass(ticks: u64, engine: &Engine) {
        (0..ticks).for_each(|_| engine.increment_epoch());
    }

    /// A store that took 5 seconds to answer ended the step as broken, and what it wrote as unknown.
    #[test]
    fn the_time_that_a_store_takes_is_not_the_instances() {
        let slow = |engine: &Engine, state: &mut InstanceState| {
            let _ = state.keys_mut().get("key");
            pass(10 * STUCK_TICKS, engine);
        };
        assert_eq!(run(3, slow), Ok(()));
    }

    /// Twenty probes of `/health` in a row ask no store, and looked like an instance that is stuck.
    #[test]
    fn requests_that_need_no_store_count_as_well() {
        let answers = |engine: &Engine, state: &mut InstanceState| {
            let _ = state.http();
            pass(1, engine);
        };
        assert_eq!(run(2 * STUCK_TICKS as i32, answers), Ok(()));
    }

    #[test]
    fn an_instance_that_calls_nothing_is_stopped() {
        let spins = |engine: &Engine, _: &mut InstanceState| pass(1, engine);
        assert_eq!(run(STUCK_TICKS as i32 - 2, spins), Ok(()));
        assert_eq!(run(STUCK_TICKS as i32 + 2, spins), Err(Trap::Interrupt));
    }
}
