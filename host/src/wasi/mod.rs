//! What an instance is given: WASI, its variables and the key-value store.

mod bindings;
mod config;
mod handles;
mod keys;
mod keyvalue;
mod linker;
mod send;
mod state;

pub use keys::{Keys, Met};
pub use linker::add_to_linker;
pub use state::{InstanceState, MAX_MEMORY_BYTES, Variables};
