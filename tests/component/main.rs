//! What the component asks of its host and what it offers: exactly the written lists.
//!
//! An import that is not on the list may be missing on some platform, so it is an error here.
//! `cargo xtask test component` runs this.

use std::collections::BTreeSet;
use std::path::Path;
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

fn component() -> (Engine, Component) {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    // Only its type is looked at, so the quickest code will do.
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = Engine::new(&config).expect("an engine");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/wasm32-wasip2/release/durable_streams_edge.wasm");
    let component = Component::from_file(&engine, &path);
    let component = component.expect("there is a component (cargo xtask component)");
    (engine, component)
}

fn compare(what: &str, found: BTreeSet<String>, list: &str) {
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
        "{what} differ from tests/component/{what}.txt; not on the list: {new:#?}; only on the \
         list: {gone:#?}"
    );
}

#[test]
fn the_component_imports_and_exports_what_the_lists_say() {
    let (engine, component) = component();
    let kind = component.component_type();
    let imports = kind.imports(&engine).map(|(name, _)| name.to_owned());
    compare("imports", imports.collect(), include_str!("imports.txt"));
    let exports = kind.exports(&engine).map(|(name, _)| name.to_owned());
    compare("exports", exports.collect(), include_str!("exports.txt"));
}
