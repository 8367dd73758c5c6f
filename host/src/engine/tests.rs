use super::*;
use crate::store::MemoryStore;
use wasmtime::{Caller, Func, Instance, Module, Trap};
use wasmtime_wasi_http::WasiHttpView;

/// Runs a loop of `iterations` iterations. Each iteration calls `host`.
fn run(
    iterations: i32,
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
    stop_when_stuck(&mut store, STUCK_TICKS, false);
    let host = Func::wrap(&mut store, move |mut caller: Caller<'_, InstanceState>| {
        let engine = caller.engine().clone();
        host(&engine, caller.data_mut());
    });
    let instance = Instance::new(&mut store, &module, &[host.into()]).unwrap();
    let run = instance
        .get_typed_func::<i32, ()>(&mut store, "run")
        .unwrap();
    run.call(&mut store, iterations)
        .map_err(|error| error.downcast().unwrap())
}

fn pass(ticks: u64, engine: &Engine) {
    (0..ticks).for_each(|_| engine.increment_epoch());
}

/// A store that took 5 seconds to answer ended the step as broken, and its writes as unknown.
#[test]
fn the_time_that_a_store_takes_is_not_the_instances() {
    let slow = |engine: &Engine, state: &mut InstanceState| {
        let _ = state.keys_mut().get("key");
        pass(10 * STUCK_TICKS, engine);
    };
    assert_eq!(run(3, slow), Ok(()));
}

/// Twenty probes of `/health` in a row call no store. The check took the instance for stuck.
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

/// A component that exports these instances, each of them empty.
fn exporting(interfaces: &[&str]) -> Runtime {
    let exports: String = interfaces
        .iter()
        .map(|interface| format!("(export \"{interface}\" (instance $nothing))"))
        .collect();
    let text = format!("(component (instance $nothing) {exports})");
    let linked = Runtime::link("x.wasm", |engine| {
        Component::new(engine, wat::parse_str(text).unwrap())
    });
    linked.expect("it imports nothing")
}

/// The check compared prefixes of the version. It took 0.10 for 0.1, and the first call failed.
#[test]
fn a_component_of_another_version_is_refused_with_both_versions() {
    const WANTED: &str = "durable-streams:edge/exchange@0.1.0";
    for (version, fits) in [
        ("0.1.0", true),
        ("0.1.7", true),
        ("0.1.0-rc.1", false),
        ("0.2.0", false),
        ("0.10.0", false),
        ("1.0.0", false),
    ] {
        let export = format!("durable-streams:edge/exchange@{version}");
        let judged = exporting(&[&export, "wasi:http/handler@0.3.0"]).check_export(WANTED);
        assert_eq!(judged.is_ok(), fits, "{version}");
        let Err(error) = judged else { continue };
        assert_eq!(
            error.to_string(),
            format!(
                "component x.wasm exports {export}, but this host calls {WANTED}: use the \
                 component and the host from one release"
            )
        );
    }
}

#[test]
fn a_component_without_the_interface_is_the_other_build() {
    let judged =
        exporting(&["wasi:http/incoming-handler@0.2.0"]).check_export("wasi:http/handler@0.3.0");
    let error = judged.expect_err("it is refused");
    assert!(
        matches!(error, ComponentError::OtherBuild { .. }),
        "{error}"
    );
}

/// Packages were compiled on a new processor, and the server would not start on an older one.
#[test]
fn a_portable_component_uses_fewer_instructions_and_loads_here() {
    let text = "(component (core module (func (param i64) (result i64)
        (i64.add (i64.popcnt (local.get 0)) (i64.ctz (local.get 0))))))";
    let component = wat::parse_str(text).unwrap();
    let portable = portable_engine().unwrap();
    let portable = portable.precompile_component(&component).unwrap();
    let own = engine().unwrap();
    assert!(deserialize(&own, &portable).is_ok());
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi1") {
        assert_ne!(own.precompile_component(&component).unwrap(), portable);
    }
}
