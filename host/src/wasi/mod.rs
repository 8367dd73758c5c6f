//! Imports of an instance: WASI, its variables and the key-value store.

mod bindings;
mod config;
mod footprint;
mod handles;
mod keyvalue;
mod linker;
mod send;
mod state;
mod stderr;
mod view;

pub(crate) use footprint::Footprint;
pub(crate) use linker::add_to_linker;
pub(crate) use state::{
    ADMIN_TOKEN, FINAL_SWAPS, InstanceState, MAX_MEMORY_BYTES, SERVING_SINCE, Variables,
};
#[cfg(test)]
pub(crate) use view::StoreView;
