//! Requests through an interface of `wasi:http`, as Spin serves them.

mod handler;

pub use handler::{Proxy, Reuse};
