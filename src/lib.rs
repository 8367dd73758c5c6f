//! A Durable Streams server as one WebAssembly component.

pub mod keys;
pub mod limits;
pub mod protocol;
pub mod service;
pub mod stream;

#[cfg(target_family = "wasm")]
mod guest;
