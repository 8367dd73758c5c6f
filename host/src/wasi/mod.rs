//! Imports of an instance: WASI, its variables and the key-value store.

mod bindings;
mod config;
mod footprint;
mod handles;
mod keys;
mod keyvalue;
mod linker;
mod send;
mod state;

pub(crate) use footprint::Footprint;
#[cfg(test)]
pub(crate) use keys::Keys;
pub(crate) use linker::add_to_linker;
pub(crate) use state::{InstanceState, MAX_MEMORY_BYTES, Variables};
