//! The imports and exports of each build of the component are exactly the written lists.
//!
//! An import that is not on the list may be missing on some platform, so it is an error here.
//! `cargo xtask test component` runs this.

use std::collections::BTreeSet;
use std::path::Path;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// The builds, and the suffixes of the names of their lists.
const BUILDS: [(&str, &str); 2] = [
    ("durable_streams_edge.wasm", "p2"),
    ("durable_streams_edge_p3.wasm", "p3"),
];

fn component(engine: &Engine, file: &str) -> Component {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/wasm32-wasip2/release")
        .join(file);
    let component = Component::from_file(engine, &path);
    component.expect("there is a component (cargo xtask component)")
}

fn compare(kind: &str, found: BTreeSet<String>) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/component");
    let list = std::fs::read_to_string(list.join(format!("{kind}.txt"))).expect("there is a list");
    let lines = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (sometimes, always): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with("? "));
    let sometimes = sometimes.iter().map(|line| line.trim_start_matches("? "));
    let allowed: BTreeSet<&str> = sometimes.chain(always.iter().copied()).collect();
    let new: Vec<_> = found
        .iter()
        .filter(|name| !allowed.contains(name.as_str()))
        .collect();
    let gone: Vec<_> = always
        .iter()
        .filter(|name| !found.contains(**name))
        .collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{kind} differ from tests/component/{kind}.txt; not on the list: {new:#?}; only on the \
         list: {gone:#?}"
    );
}

#[test]
fn each_build_imports_and_exports_the_names_on_its_lists() {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    // The test reads only the type of the component, so the fastest compilation will do.
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = Engine::new(&config).expect("an engine");
    for (file, build) in BUILDS {
        let component = component(&engine, file);
        let kind = component.component_type();
        let imports = kind.imports(&engine).map(|(name, _)| name.to_owned());
        compare(&format!("imports-{build}"), imports.collect());
        let exports = kind.exports(&engine).map(|(name, _)| name.to_owned());
        compare(&format!("exports-{build}"), exports.collect());
    }
}
