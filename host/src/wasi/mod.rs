//! What an instance is given: WASI, its variables and the key-value store.

mod bindings;
mod config;
mod handles;
mod keys;
mod keyvalue;
mod linker;
mod send;
mod state;

#[cfg(test)]
pub(crate) use keys::Keys;
pub(crate) use keys::Met;
pub(crate) use linker::add_to_linker;
pub(crate) use state::{InstanceState, MAX_MEMORY_BYTES, Variables};
