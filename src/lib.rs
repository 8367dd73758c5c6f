//! A Durable Streams server as one WebAssembly component.

pub mod limits;
pub mod protocol;
pub mod stream;
