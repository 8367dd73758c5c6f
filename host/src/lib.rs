//! The native host.

pub mod store;
