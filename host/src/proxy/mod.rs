//! Requests through an interface of `wasi:http`, as Spin serves them.

mod body;
mod handler;
mod instances;
mod tick;

pub(crate) use handler::{NoRoom, Proxy};
pub(crate) use instances::Reuse;
pub(crate) use tick::tick;
